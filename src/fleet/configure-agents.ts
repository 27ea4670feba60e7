import { agentConfigSchema } from '../../protocol/handshake.ts';
import { ADDRESS_SETTING_KEYS, CONFIG_SETTING_KEYS } from '../agent-hub/agent-config.ts';
import { LOG_SETTING_KEYS } from '../agent-hub/log-settings.ts';
import type { AgentRow } from '../db/agent-row.ts';
import {
  type AddressChange,
  addressChange,
  refuseForAgents,
  refuseWrongScope,
} from './configure-rules.ts';
import type { Caller } from './fleet.ts';
import type { FleetContext } from './fleet-context.ts';
import { FLEET_SETTING_KEYS, fleetSettings } from './fleet-settings.ts';
import { namedAgents } from './matching-agents.ts';
import type { ArgsOf, OperationResult } from './operations.ts';
import { requireAdmin } from './require-admin.ts';
import { tellAgent } from './tell-agent.ts';

type ConfigureResult = OperationResult<'configure_agents'>;
type Settings = ArgsOf<'configure_agents'>['settings'];

/** Agents told at one time. */
const TOLD_AT_ONCE_COUNT = 64;
const INTERVALS = agentConfigSchema.keyof().options;
const FLEET_SETTINGS = ['token_rotation_days', 'token_grace_minutes', 'code_ttl_minutes'] as const;

/**
 * Changes the settings of the named agents, or, if none are named, the fleet's; connected agents are
 * told at once, the others when they connect. Throws UNKNOWN_SERVER for a name without an agent, and
 * what the rules for the settings refuse, before anything is changed.
 */
export async function configureAgents(
  context: FleetContext,
  args: ArgsOf<'configure_agents'>,
  caller: Caller,
): Promise<ConfigureResult> {
  requireAdmin(caller, 'configure_agents');
  const { server_ids, labels, settings } = args;
  refuseWrongScope(args);
  const address = addressChange(settings, context.fingerprint ?? undefined);
  const agents = await namedAgents(context.db, { server_ids, labels }, 'Nothing was changed.');
  refuseForAgents(agents, settings, context.hub);
  const now = Date.now();
  const whole = server_ids === undefined && labels === undefined;
  if (whole) await context.db.settings.set(settingRows(settings, address), now);
  else for (const agent of agents) await change(context, agent, { settings, address, now });
  const results: ConfigureResult['agents'] = [];
  for (let start = 0; start < agents.length; start += TOLD_AT_ONCE_COUNT) {
    const batch = agents.slice(start, start + TOLD_AT_ONCE_COUNT);
    results.push(
      ...(await Promise.all(batch.map((agent) => tellAgent(context, agent.id, settings)))),
    );
  }
  const fleet = fleetSettings(await context.db.settings.all());
  return { scope: whole ? 'fleet' : 'selected', agents: results, fleet };
}

interface Change {
  readonly settings: Settings;
  readonly address: AddressChange | undefined;
  readonly now: number;
}

/** Of one agent alone. */
async function change(
  { db, hub }: FleetContext,
  agent: AgentRow,
  { settings, address, now }: Change,
): Promise<void> {
  if (settings.accept_machine !== undefined) {
    await hub.acceptMachine(agent.id, settings.accept_machine);
  }
  if (settings.access !== undefined) {
    const lowered = await db.agents.lowerAccess(agent.id, settings.access, now);
    if (lowered) await hub.setAccess(agent.id, settings.access);
  }
  const own = { ...intervalsOf(settings), ...logSettingsOf(settings), ...address };
  if (Object.keys(own).length === 0) return;
  // Without one of its own the fleet's address is the agent's.
  const kept = Object.entries({ ...agent.config, ...own }).filter(([, value]) => value !== null);
  await db.agents.setConfig(agent.id, Object.fromEntries(kept), now);
}

function intervalsOf(settings: Settings): Record<string, number> {
  return Object.fromEntries(
    INTERVALS.flatMap((name) => {
      const value = settings[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function logSettingsOf({ log_collection, log_keep_mib }: Settings): Record<string, unknown> {
  return {
    ...(log_collection === undefined ? {} : { log_collection }),
    ...(log_keep_mib === undefined ? {} : { log_keep_mib }),
  };
}

function settingRows(
  settings: Settings,
  address: AddressChange | undefined,
): Record<string, string | null> {
  const rows: Record<string, string | null> = {};
  for (const name of INTERVALS) {
    const value = settings[name];
    if (value !== undefined) rows[CONFIG_SETTING_KEYS[name]] = String(value);
  }
  for (const name of FLEET_SETTINGS) {
    const value = settings[name];
    if (value !== undefined) rows[FLEET_SETTING_KEYS[name]] = String(value);
  }
  const { log_collection, log_keep_mib } = settings;
  if (log_collection !== undefined) {
    rows[LOG_SETTING_KEYS.log_collection] = JSON.stringify(log_collection);
  }
  if (log_keep_mib !== undefined) rows[LOG_SETTING_KEYS.log_keep_mib] = String(log_keep_mib);
  if (address === undefined) return rows;
  return {
    ...rows,
    [ADDRESS_SETTING_KEYS.server_url]: address.server_url,
    [ADDRESS_SETTING_KEYS.server_fingerprint]: address.server_fingerprint,
  };
}
