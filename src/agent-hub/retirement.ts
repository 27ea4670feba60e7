import { CLOSE_CODES } from '../../protocol/handshake.ts';
import { RETIRE_METHOD } from '../../protocol/json-rpc.ts';
import type { AgentConnection } from './agent-connection.ts';
import { connectionLost } from './connection-errors.ts';

/**
 * Lets an agent that was replaced answer the calls under way, for at most `maxMs`, and closes its
 * socket then.
 */
export function retire(connection: AgentConnection, maxMs: number): void {
  connection.notify(RETIRE_METHOD, {});
  const end = (): void => {
    clearTimeout(timer);
    connection.close(CLOSE_CODES.SUPERSEDED, 'replaced by its candidate', connectionLost());
  };
  const timer = setTimeout(end, maxMs);
  void connection.idle().then(end);
}
