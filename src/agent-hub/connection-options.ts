import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import type { WebSocket } from 'ws';
import type { ProgressParams, RpcNotification } from '../../protocol/json-rpc.ts';
import type { AgentDebts } from './agent-debts.ts';
import type { Acknowledge, Taking } from './command-outputs.ts';
import type { ConnectedAgent } from './connected-agent.ts';
import type { LateAnswer } from './late-answer.ts';

/** An agent's socket, and who is told of what comes by it. */
export interface ConnectionOptions {
  readonly agent: ConnectedAgent;
  readonly socket: WebSocket;
  readonly stream: Duplex & { readonly bytesRead?: number };
  readonly debts: AgentDebts;
  readonly log: Logger;
  /** Whether the hub had asked for it. */
  readonly onNotification: (notification: RpcNotification, bytes: number) => boolean;
  /** Whether the hub itself knows of a command of earlier sockets that the agent is to answer. */
  readonly owes: (id: string) => boolean;
  /** Called for output and steps of commands that a call waits for, or that the agent holds. */
  readonly onProgress: (progress: ProgressParams, acknowledge: Acknowledge) => Taking;
  /** Called for what belongs to no such command. */
  readonly onStrayProgress: () => void;
  /** Called for every answer that no call waits for; `stored` tells the agent to forget it. */
  readonly onStrayAnswer: (answer: LateAnswer, stored: () => void) => void;
  /** Called with the calls that have a row and whose answers the agent brings later. */
  readonly onDetached: (ids: readonly string[]) => void;
  /** Called once, after the socket has closed and every call has failed. */
  readonly onClosed: (code: number) => void;
}
