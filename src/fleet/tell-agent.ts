import { randomUUID } from 'node:crypto';
import { TomoError } from '../../protocol/errors.ts';
import { agentConfigSchema } from '../../protocol/handshake.ts';
import { effectiveAddress, effectiveConfig } from '../agent-hub/agent-config.ts';
import type { FleetContext } from './fleet-context.ts';
import type { ArgsOf, OperationResult } from './operations.ts';

type Settings = ArgsOf<'configure_agents'>['settings'];
type ToldAgent = OperationResult<'configure_agents'>['agents'][number];
type Params = Record<string, unknown>;

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
  // Its own ceiling may be lower still, and is refused to be raised.
  const access = context.hub.connected(agentId)?.access ?? agent.access;
  const beyondIntervals = {
    ...(settings.access === undefined ? {} : { access }),
    ...(settings.server_url === undefined ? {} : address),
  };
  return {
    server_id: agent.serverId,
    config,
    access: agent.access,
    server_url: address?.server_url ?? null,
    applied: await applied(
      context,
      agentId,
      changesIntervals(settings) ? config : {},
      beyondIntervals,
    ),
  };
}

function changesIntervals(settings: Settings): boolean {
  return agentConfigSchema.keyof().options.some((name) => settings[name] !== undefined);
}

/** Agents without `protocol` know intervals only; what concerns the hub alone holds at once. */
async function applied(
  context: FleetContext,
  agentId: string,
  intervals: Params,
  beyondIntervals: Params,
): Promise<boolean> {
  const params = { ...intervals, ...beyondIntervals };
  if (Object.keys(params).length === 0) return true;
  const connected = context.hub.connected(agentId);
  if (connected === undefined) return false;
  if (connected.hello.protocol !== undefined) return sent(context, agentId, params);
  if (Object.keys(intervals).length > 0 && !(await sent(context, agentId, intervals))) return false;
  return Object.keys(beyondIntervals).length === 0;
}

async function sent(context: FleetContext, agentId: string, params: Params): Promise<boolean> {
  try {
    await context.hub.call(agentId, {
      id: randomUUID(),
      method: 'config.update',
      params,
      access: 'admin',
    });
    return true;
  } catch (error) {
    context.log.warn({ err: error, agent: agentId }, 'an agent did not take its new settings');
    return false;
  }
}
