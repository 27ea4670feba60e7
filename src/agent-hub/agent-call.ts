import type { Access } from '../../protocol/access.ts';
import type { CommandEntry } from '../../protocol/commands/define-command.ts';
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
  /**
   * It has a row in the audit: if the agent goes, the row becomes `detached` and ends when the agent
   * is back. Whoever writes the row otherwise calls AgentHub.written afterwards.
   */
  readonly hasRow?: boolean;
}

/** What an agent answered. */
export interface AgentAnswer {
  readonly result: unknown;
  /** Of the result as JSON, as it came. */
  readonly bytes: number;
}

/** Sends a command that may be sent, and checks its answer; the contract is AgentHub.call's. */
export async function callAgent(
  connection: AgentConnection,
  { id, method, access, signal, hasRow = false, ...call }: AgentCall,
  onSent: (entry: CommandEntry) => void,
): Promise<AgentAnswer> {
  const { entry, params, timeoutMs } = gateCommand({
    method,
    params: call.params,
    access,
    ceiling: connection.agent.access,
    capabilities: connection.agent.hello.capabilities,
    timeoutMs: call.timeoutMs,
  });
  onSent(entry);
  const answer = await connection.call({ id, method, params, timeoutMs, signal, hasRow });
  checkResult(method, entry, answer.result);
  return answer;
}
