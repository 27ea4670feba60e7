import { randomUUID } from 'node:crypto';
import { TomoError } from '../../protocol/errors.ts';
import { type AgentConfig, agentConfigSchema } from '../../protocol/handshake.ts';
import { CONFIG_SETTING_KEYS, effectiveConfig } from '../agent-hub/agent-config.ts';
import type { AgentRow } from '../db/agent-row.ts';
import type { Caller } from './fleet.ts';
import type { FleetContext } from './fleet-context.ts';
import type { ArgsOf, OperationResult } from './operations.ts';
import { requireAdmin } from './require-admin.ts';

type ConfigureResult = OperationResult<'configure_agents'>;
type Settings = ArgsOf<'configure_agents'>['settings'];

/** Agents told at one time. */
const TOLD_AT_ONCE_COUNT = 64;
const PAGE_COUNT = 1_000;

/**
 * Changes the settings of the named agents, or, if none are named, the fleet's defaults; connected
 * agents are told at once, the others when they connect. Throws UNKNOWN_SERVER for a name without an
 * agent, before anything is changed.
 */
export async function configureAgents(
  context: FleetContext,
  { server_ids, labels, settings }: ArgsOf<'configure_agents'>,
  caller: Caller,
): Promise<ConfigureResult> {
  requireAdmin(caller, 'configure_agents');
  const now = Date.now();
  const whole = server_ids === undefined && labels === undefined;
  const agents = await selected(context, { server_ids, labels });
  if (whole) await context.db.settings.set(settingRows(settings), now);
  else {
    for (const agent of agents) {
      await context.db.agents.setConfig(agent.id, { ...agent.config, ...settings }, now);
    }
  }
  const results: ConfigureResult['agents'] = [];
  for (let start = 0; start < agents.length; start += TOLD_AT_ONCE_COUNT) {
    const batch = agents.slice(start, start + TOLD_AT_ONCE_COUNT);
    results.push(...(await Promise.all(batch.map((agent) => tell(context, agent.id)))));
  }
  return { scope: whole ? 'fleet' : 'selected', agents: results };
}

async function selected(
  context: FleetContext,
  filter: Pick<ArgsOf<'configure_agents'>, 'server_ids' | 'labels'>,
): Promise<AgentRow[]> {
  const rows: AgentRow[] = [];
  for (;;) {
    const after = rows.at(-1)?.serverId;
    const page = await context.db.agents.list({
      ...(filter.server_ids === undefined ? {} : { serverIds: filter.server_ids }),
      ...(filter.labels === undefined ? {} : { labels: filter.labels }),
      ...(after === undefined ? {} : { after }),
      limit: PAGE_COUNT,
    });
    rows.push(...page);
    if (page.length < PAGE_COUNT) break;
  }
  const found = new Set(rows.map((row) => row.serverId));
  const missing = filter.server_ids?.filter((serverId) => !found.has(serverId)) ?? [];
  if (missing.length === 0) return rows;
  throw new TomoError(
    'UNKNOWN_SERVER',
    `No such agent: ${missing.join(', ')}${filter.labels === undefined ? '' : ' (with these labels)'}. Nothing was changed. list_agents shows the servers there are.`,
    { facts: { server_ids: missing } },
  );
}

async function tell(
  context: FleetContext,
  agentId: string,
): Promise<ConfigureResult['agents'][number]> {
  const agent = await context.db.agents.findById(agentId);
  if (agent === undefined)
    throw new TomoError('UNKNOWN_SERVER', 'The agent was removed meanwhile.');
  const config = effectiveConfig(await context.db.settings.all(), agent.config);
  return { server_id: agent.serverId, config, applied: await sent(context, agentId, config) };
}

async function sent(context: FleetContext, agentId: string, config: AgentConfig): Promise<boolean> {
  if (context.hub.connected(agentId) === undefined) return false;
  try {
    await context.hub.call(agentId, {
      id: randomUUID(),
      method: 'config.update',
      params: { ...config },
      access: 'admin',
    });
    return true;
  } catch (error) {
    context.log.warn({ err: error, agent: agentId }, 'an agent did not take its new settings');
    return false;
  }
}

function settingRows(settings: Settings): Record<string, string> {
  const rows: Record<string, string> = {};
  for (const name of agentConfigSchema.keyof().options) {
    const value = settings[name];
    if (value !== undefined) rows[CONFIG_SETTING_KEYS[name]] = String(value);
  }
  return rows;
}
