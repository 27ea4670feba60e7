import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { AgentDebts } from './agent-debts.ts';

interface UnaskedFramesOptions {
  readonly agentId: string;
  readonly socket: WebSocket;
  readonly stream: Duplex;
  readonly debts: AgentDebts;
}

/**
 * Measures what the frames of one socket cost, from its bytes to the end of their handling, and
 * pauses the socket while its agent owes for those that nobody asked for.
 */
export class UnaskedFrames implements Disposable {
  readonly #options: UnaskedFramesOptions;
  #spentMs = 0;
  /** When the work that is under way began. */
  #since: number | undefined;
  #pause: NodeJS.Timeout | undefined;

  /** To be made before anything is read of the socket. */
  constructor(options: UnaskedFramesOptions) {
    this.#options = options;
    const { socket, stream } = options;
    // The WebSocket's own listener, between these two, does everything before it returns.
    stream.prependListener('data', () => {
      this.#since = performance.now();
    });
    stream.on('data', () => {
      this.#spentMs += this.#lapMs();
      this.#since = undefined;
    });
    for (const control of ['ping', 'pong']) socket.on(control, () => this.handled(false));
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#pause);
  }

  /** Reads the socket, at once unless the agent still owes. */
  start(): void {
    this.#options.socket.resume();
    this.#pauseIfOwing();
  }

  /** A frame was dealt with; what a call waited for is free. */
  handled(wasAwaited: boolean): void {
    const ms = this.#spentMs + this.#lapMs();
    this.#spentMs = 0;
    if (wasAwaited) return;
    const { agentId, debts } = this.#options;
    debts.charge(agentId, ms);
    this.#pauseIfOwing();
  }

  #lapMs(): number {
    if (this.#since === undefined) return 0;
    const now = performance.now();
    const ms = now - this.#since;
    this.#since = now;
    return ms;
  }

  #pauseIfOwing(): void {
    const { agentId, socket, debts } = this.#options;
    const ms = debts.pauseMs(agentId);
    if (ms === 0 || this.#pause !== undefined) return;
    socket.pause();
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      socket.resume();
    }, ms).unref();
  }
}
