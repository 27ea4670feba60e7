import { randomUUID } from 'node:crypto';
import { TomoError } from '../../protocol/errors.ts';
import type { AgentRepository } from '../db/agent-repository.ts';
import type { AgentCall } from './agent-call.ts';
import type { AgentConnection } from './agent-connection.ts';
import { notConnected } from './connection-errors.ts';
import { hashToken, newToken } from './credentials.ts';

const ROTATE_METHOD = 'agent.rotate_token';

export interface RotationDeps {
  readonly agents: Pick<AgentRepository, 'offerToken' | 'tokenStored'>;
  readonly current: (agentId: string) => AgentConnection | undefined;
  readonly call: (connection: AgentConnection, call: AgentCall) => Promise<unknown>;
  /** Runs a step that no admission and no revocation comes between. */
  readonly exclusively: <T>(step: () => Promise<T>) => Promise<T>;
}

/** The contract is AgentHub.rotateToken's. */
export async function rotateToken(
  { agents, current, call, exclusively }: RotationDeps,
  agentId: string,
  graceMs: number,
): Promise<{ graceEndsAt: number }> {
  const token = newToken();
  const tokenHash = hashToken(token);
  const offered = await exclusively(async () => {
    const connection = current(agentId);
    if (connection === undefined) throw notConnected();
    refuseIfUnable(connection);
    const graceEndsAt = Date.now() + graceMs;
    // Written first: a token that the agent keeps must be one that the hub knows.
    if (!(await agents.offerToken(agentId, { tokenHash, expiresAt: graceEndsAt }))) {
      throw notConnected();
    }
    // Sent in the same step: of two rotations the agent must get the later token last.
    const request = { id: randomUUID(), method: ROTATE_METHOD, params: { token } };
    return { graceEndsAt, answer: call(connection, { ...request, access: 'admin' }) };
  });
  await offered.answer;
  await agents.tokenStored(agentId, tokenHash, Date.now());
  return { graceEndsAt: offered.graceEndsAt };
}

/** Agents of the first deployment do not say what they have, and do not have this. */
function refuseIfUnable({ agent }: AgentConnection): void {
  if (agent.hello.capabilities?.includes(ROTATE_METHOD) === true) return;
  throw new TomoError(
    'METHOD_NOT_FOUND',
    'This agent’s version cannot take a new token. Update the agent, or call install_agent with replace: true.',
    { facts: { method: ROTATE_METHOD } },
  );
}
