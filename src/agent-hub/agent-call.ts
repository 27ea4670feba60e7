import type { Access } from '../../protocol/access.ts';
import type { AgentConnection } from './agent-connection.ts';
import { checkResult, gateCommand } from './command-gate.ts';

/** A command for one agent. */
export interface AgentCall {
  /** The command's id; unique for ever. */
  readonly id: string;
  readonly method: string;
  readonly params: Record<string, unknown>;
  /** What the caller may do; the agent's own ceiling lowers it further. */
  readonly access: Access;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Sends a command that may be sent, and checks its answer; the contract is AgentHub.call's. */
export async function callAgent(
  connection: AgentConnection,
  { id, method, access, signal, ...call }: AgentCall,
  onSent: () => void,
): Promise<unknown> {
  const { entry, params, timeoutMs } = gateCommand({
    method,
    params: call.params,
    access,
    ceiling: connection.agent.access,
    capabilities: connection.agent.hello.capabilities,
    timeoutMs: call.timeoutMs,
  });
  onSent();
  const result = await connection.call({ id, method, params, timeoutMs, signal });
  checkResult(method, entry, result);
  return result;
}
