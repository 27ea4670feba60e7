import type { Logger } from 'pino';

const LINE_INTERVAL_MS = 1_000;

/** A socket that was not let in. */
export interface RefusedSocket {
  readonly address: string;
  /** The error's name, or the status of the HTTP answer. */
  readonly refusal: string;
  /** The WebSocket close code, if it came as far as a WebSocket. */
  readonly close?: number;
}

/** Logs refusals, at most one a second, so that nobody outside can fill the log. */
export class RefusalLog {
  readonly #log: Logger;
  readonly #now: () => number;
  #nextAt = 0;
  #leftOut = 0;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(log: Logger, now: () => number = () => performance.now()) {
    this.#log = log;
    this.#now = now;
  }

  record(refused: RefusedSocket): void {
    const now = this.#now();
    if (now < this.#nextAt) {
      this.#leftOut += 1;
      return;
    }
    this.#log.info({ ...refused, left_out: this.#leftOut }, 'agent socket refused');
    this.#leftOut = 0;
    this.#nextAt = now + LINE_INTERVAL_MS;
  }
}
