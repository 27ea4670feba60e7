import { CATALOGUE } from '../../protocol/commands/catalogue.ts';
import { errorName, TomoError } from '../../protocol/errors.ts';
import type { AgentRow } from '../db/agent-row.ts';
import { SERVER_LABEL } from '../provisioning/container-plan.ts';
import type { Caller } from './fleet.ts';
import { agentOf, type FleetContext } from './fleet-context.ts';
import type { ArgsOf, OperationResult } from './operations.ts';
import { requireAdmin } from './require-admin.ts';
import { runCommand } from './send-command.ts';

const METHOD = 'agent.uninstall';

/** How long the agent's helper has to remove the container, with which the agent's socket closes. */
const REMOVAL_WAIT_MS = 15_000;

/** What became of the agent's things on its server. */
interface Removal {
  readonly removed: string[];
  readonly leftBehind: string[];
}

/**
 * Lets the agent remove its container and data volume, if it is there and can, and takes its token
 * for good in any case. Throws COMMAND_CANCELLED, with the token left valid, when the caller gives up
 * before the agent has answered.
 */
export async function uninstallAgent(
  context: FleetContext,
  { server_id, forget }: ArgsOf<'uninstall_agent'>,
  caller: Caller,
): Promise<OperationResult<'uninstall_agent'>> {
  requireAdmin(caller, 'uninstall_agent');
  const agent = await agentOf(context, server_id);
  const wasConnected = context.hub.connected(agent.id) !== undefined;
  const { removed, leftBehind } = wasConnected
    ? await removeThroughAgent(context, agent, caller)
    : { removed: [], leftBehind: byHand(server_id, 'The agent is away.') };
  await context.hub.revoke(agent.id);
  if (forget) await context.hub.forget(agent);
  return {
    success: true,
    agent_id: agent.id,
    was_connected: wasConnected,
    removed,
    left_behind: leftBehind,
    forgotten: forget,
  };
}

async function removeThroughAgent(
  context: FleetContext,
  agent: AgentRow,
  caller: Caller,
): Promise<Removal> {
  const { serverId } = agent;
  const command = { server_id: serverId, method: METHOD, params: {} };
  const { ending } = await runCommand(context, command, caller);
  if (ending === undefined) throw cancelled(serverId);
  const { error, result } = ending;
  if (error !== undefined) return { removed: [], leftBehind: afterError(serverId, error) };
  const { container, volume } = CATALOGUE[METHOD].result.parse(result);
  // Told that it is revoked, the agent would stop its container under the helper's hands.
  if (await left(context, agent.id)) {
    return {
      removed: [`container ${container}`, ...(volume === null ? [] : [`volume ${volume}`])],
      leftBehind: [],
    };
  }
  const seconds = REMOVAL_WAIT_MS / 1_000;
  const why = `The helper had not removed container ${container} after ${seconds} s; it may still do so.`;
  return { removed: [], leftBehind: byHand(serverId, why) };
}

/** Whether the agent's socket closed in time. */
async function left(context: FleetContext, agentId: string): Promise<boolean> {
  try {
    await context.hub.waitForDeparture(agentId, AbortSignal.timeout(REMOVAL_WAIT_MS));
    return true;
  } catch {
    return false;
  }
}

function afterError(serverId: string, error: { code: number; message: string }): string[] {
  const name = errorName(error.code);
  if (name === 'COMMAND_CANCELLED') throw cancelled(serverId);
  if (name !== 'NOT_CONTAINERISED') {
    return byHand(serverId, `The agent did not remove itself: ${error.message}`);
  }
  return [
    `The agent on ${serverId} does not run in a container that it can remove: its process ends by itself now. Remove by hand what starts it (a service, a script) and its DATA_DIR.`,
  ];
}

function cancelled(serverId: string): TomoError {
  return new TomoError(
    'COMMAND_CANCELLED',
    `uninstall_agent was cancelled. The agent of ${serverId} is not revoked, but may be removing itself: see get_agent_status, and call uninstall_agent again.`,
    { facts: { server_id: serverId } },
  );
}

function byHand(serverId: string, why: string): string[] {
  const ofServer = `--filter label=${SERVER_LABEL}=${serverId}`;
  return [
    `${why} On ${serverId} may be left:`,
    `container tomo-agent: docker rm -f tomo-agent, or by its label: docker rm -f $(docker ps -aq ${ofServer})`,
    'volume tomo-agent-data: docker volume rm tomo-agent-data; after a replacement its name has a suffix: docker volume ls -q --filter name=tomo-agent-data',
  ];
}
