import type { Access } from '../../protocol/access.ts';
import type { Hello } from '../../protocol/handshake.ts';

/** What the hub knows of an agent while it is connected. */
export interface ConnectedAgent {
  readonly agentId: string;
  readonly serverId: string;
  /** The lower of its ceiling, which may change meanwhile, and what it says it grants. */
  access: Access;
  readonly hello: Hello;
  /** Address of the socket's other end. */
  readonly address: string;
  /** Milliseconds since the epoch. */
  readonly connectedAt: number;
}
