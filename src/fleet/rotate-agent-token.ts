import { TomoError } from '../../protocol/errors.ts';
import type { AgentRow } from '../db/agent-row.ts';
import type { Caller } from './fleet.ts';
import { agentOf, type FleetContext, isoTime } from './fleet-context.ts';
import { tokenGraceMs } from './fleet-settings.ts';
import { notConnected } from './not-connected.ts';
import type { ArgsOf, OperationResult } from './operations.ts';
import { requireAdmin } from './require-admin.ts';

/**
 * Gives a connected agent a new token; it stays connected. Throws AGENT_NOT_CONNECTED, METHOD_NOT_FOUND
 * for an agent that cannot do it, or what its call ended with: the old token is good then, as before.
 */
export async function rotateAgentToken(
  context: FleetContext,
  { server_id }: ArgsOf<'rotate_agent_token'>,
  caller: Caller,
): Promise<OperationResult<'rotate_agent_token'>> {
  requireAdmin(caller, 'rotate_agent_token');
  const agent = await agentOf(context, server_id);
  const graceMs = tokenGraceMs(await context.db.settings.all());
  try {
    const { graceEndsAt } = await context.hub.rotateToken(agent.id, { graceMs });
    return { agent_id: agent.id, status: 'stored', grace_ends_at: isoTime(graceEndsAt) };
  } catch (error) {
    throw explained(context, agent, error);
  }
}

function explained(context: FleetContext, agent: AgentRow, error: unknown): unknown {
  if (!(error instanceof TomoError)) return error;
  const { name, message, facts } = error;
  if (name === 'AGENT_NOT_CONNECTED') return notConnected(context, agent);
  if (name === 'METHOD_NOT_FOUND' || name === 'AGENT_REVOKED') return error;
  return new TomoError(
    name,
    `${message} The agent may or may not keep the new token; the one it has is good as before. Call rotate_agent_token again.`,
    { cause: error, facts: { ...facts, server_id: agent.serverId } },
  );
}
