import { randomUUID } from 'node:crypto';
import type { WebSocket } from 'ws';
import { TomoError } from '../../protocol/errors.ts';

/** Measures a socket by pings, any number at one time. */
export class RoundTrips {
  readonly #socket: WebSocket;
  readonly #underWay = new Map<string, () => void>();

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('pong', (payload: Buffer) => this.#underWay.get(payload.toString())?.());
  }

  /** Round trip of one ping in milliseconds; rejects when `signal` aborts. */
  measure(signal: AbortSignal): Promise<number> {
    const payload = randomUUID();
    const sentAt = performance.now();
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.#underWay.delete(payload);
        signal.removeEventListener('abort', onAbort);
      };
      const onAbort = (): void => {
        end();
        reject(new TomoError('COMMAND_TIMED_OUT', 'The agent did not answer a ping in time.'));
      };
      if (signal.aborted) return onAbort();
      this.#underWay.set(payload, () => {
        end();
        resolve(performance.now() - sentAt);
      });
      signal.addEventListener('abort', onAbort, { once: true });
      this.ping(payload);
    });
  }

  ping(payload = ''): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.ping(payload);
  }
}
