import { randomUUID } from 'node:crypto';
import { TomoError, toTomoError } from '../../protocol/errors.ts';
import { agentConfigSchema } from '../../protocol/handshake.ts';
import { effectiveAddress, effectiveConfig } from '../agent-hub/agent-config.ts';
import { effectiveLogSettings } from '../agent-hub/log-settings.ts';
import type { AgentRow } from '../db/agent-row.ts';
import type { FleetContext } from './fleet-context.ts';
import type { ArgsOf, OperationResult } from './operations.ts';

type Settings = ArgsOf<'configure_agents'>['settings'];
type ToldAgent = OperationResult<'configure_agents'>['agents'][number];
type Params = Record<string, unknown>;

const TOO_OLD_TO_COLLECT =
  'This agent is too old to collect logs: install_agent with replace: true puts a newer one there.';

/** Tells an agent the settings that were changed, if it is there, and answers what holds for it. */
export async function tellAgent(
  context: FleetContext,
  agentId: string,
  settings: Settings,
): Promise<ToldAgent> {
  const agent = await context.db.agents.findById(agentId);
  if (agent === undefined) {
    throw new TomoError(
      'UNKNOWN_SERVER',
      'An agent was removed meanwhile; the settings are kept for all others. Call list_agents.',
    );
  }
  const rows = await context.db.settings.all();
  const config = effectiveConfig(rows, agent.config);
  const address = effectiveAddress(rows, agent.config);
  const logs = effectiveLogSettings(rows, agent.config);
  if (changesLogs(settings)) await context.hub.setLogs(agentId, logs);
  // Its own ceiling may be lower still, and is refused to be raised.
  const access = context.hub.connected(agentId)?.access ?? agent.access;
  const changes: Changes = {
    intervals: changesIntervals(settings) ? config : {},
    access: settings.access === undefined ? {} : { access },
    address: settings.server_url === undefined ? {} : { ...address },
    logs: settings.log_collection === undefined ? {} : { log_collection: logs.log_collection },
  };
  const note = await tell(context, agent, changes);
  return {
    server_id: agent.serverId,
    config,
    ...logs,
    access,
    server_url: address?.server_url ?? null,
    applied: note === undefined,
    ...(note === undefined ? {} : { note }),
  };
}

/** Params of config.update, by what agents have to know to take them. */
interface Changes {
  /** Every agent knows them. */
  readonly intervals: Params;
  /** What an agent does not know of it the hub holds it to. */
  readonly access: Params;
  readonly address: Params;
  readonly logs: Params;
}

function changesLogs({ log_collection, log_keep_mib }: Settings): boolean {
  return log_collection !== undefined || log_keep_mib !== undefined;
}

function changesIntervals(settings: Settings): boolean {
  return agentConfigSchema.keyof().options.some((name) => settings[name] !== undefined);
}

/** Undefined if all of it holds now, else why not. */
async function tell(
  context: FleetContext,
  agent: AgentRow,
  { intervals, access, address, logs }: Changes,
): Promise<string | undefined> {
  const isOf = (params: Params): boolean => Object.keys(params).length > 0;
  if (agent.status === 'revoked') return 'The agent is revoked; install_agent brings it back.';
  const connected = context.hub.connected(agent.id);
  if (connected === undefined) {
    const gets = [intervals, address, logs].some(isOf);
    return gets ? 'Away: it gets it when it connects.' : undefined;
  }
  const knowsMore = connected.hello.protocol !== undefined;
  const params = knowsMore ? { ...intervals, ...access, ...address, ...logs } : intervals;
  const refusal = isOf(params) ? await sent(context, agent.id, params) : undefined;
  if (refusal !== undefined) return refusal;
  if (knowsMore) return undefined;
  const collects = isOf(logs) && logs['log_collection'] !== 'off';
  const notes = [
    ...(isOf(address) ? ['This agent is too old to move: start it with the new SERVER_URL.'] : []),
    ...(collects ? [TOO_OLD_TO_COLLECT] : []),
  ];
  return notes.length === 0 ? undefined : notes.join(' ');
}

/** Undefined if the agent took it. */
async function sent(
  context: FleetContext,
  agentId: string,
  params: Params,
): Promise<string | undefined> {
  try {
    await context.hub.call(agentId, {
      id: randomUUID(),
      method: 'config.update',
      params,
      access: 'admin',
    });
    return undefined;
  } catch (error) {
    context.log.warn({ err: error, agent: agentId }, 'an agent did not take its new settings');
    return `The agent did not take it: ${toTomoError(error).message}`;
  }
}
