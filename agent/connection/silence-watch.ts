import type { WebSocket } from 'ws';

// A hub that hears an agent all the time need not ping it, so the agent asks by itself.
const PING_AFTER_SHARE = 1 / 3;
const LOOKS_PER_LIMIT = 15;
// A look may come this many intervals late before the limit is passed.
const LOOKS_AHEAD = 1.5;

/** Gives a socket up before it has brought no message, ping or pong for `limitMs`. */
export class SilenceWatch implements Disposable {
  readonly #timer: NodeJS.Timeout;
  readonly #socket: WebSocket;
  readonly #limitMs: number;
  readonly #onSilent: () => void;
  #heardAtMs = performance.now();

  constructor(socket: WebSocket, limitMs: number, onSilent: () => void) {
    this.#socket = socket;
    this.#limitMs = limitMs;
    this.#onSilent = onSilent;
    const heard = (): void => {
      this.#heardAtMs = performance.now();
    };
    socket.on('message', heard).on('ping', heard).on('pong', heard);
    this.#timer = setInterval(() => {
      this.#look();
    }, limitMs / LOOKS_PER_LIMIT).unref();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const silentMs = performance.now() - this.#heardAtMs;
    if (silentMs >= this.#limitMs * (1 - LOOKS_AHEAD / LOOKS_PER_LIMIT)) {
      this.#onSilent();
      this.#socket.terminate();
    } else if (silentMs >= this.#limitMs * PING_AFTER_SHARE) {
      this.#socket.ping();
    }
  }
}
