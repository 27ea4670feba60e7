import type { Caller } from './fleet.ts';
import { agentOf, type FleetContext } from './fleet-context.ts';
import type { ArgsOf, OperationResult } from './operations.ts';
import { requireAdmin } from './require-admin.ts';

/** Takes an agent's token for good; it cannot come back without a new install_agent. */
export async function revokeAgent(
  context: FleetContext,
  { server_id }: ArgsOf<'revoke_agent'>,
  caller: Caller,
): Promise<OperationResult<'revoke_agent'>> {
  requireAdmin(caller, 'revoke_agent');
  const agent = await agentOf(context, server_id);
  const wasConnected = await context.hub.revoke(agent.id);
  return { success: true, agent_id: agent.id, was_connected: wasConnected };
}
