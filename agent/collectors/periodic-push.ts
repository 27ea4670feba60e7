import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';

export interface PeriodicPushOptions {
  /** Name in the log. */
  readonly name: string;
  readonly measure: (signal: AbortSignal) => Promise<object>;
  readonly push: (measured: object) => void;
  /** Asked before every wait. */
  readonly intervalMs: () => number;
  readonly firstAfterMs: number;
  readonly log: Logger;
}

/** Measures and pushes, one after the other, until it is disposed of. */
export class PeriodicPush implements Disposable {
  readonly #options: PeriodicPushOptions;
  readonly #closing = new AbortController();
  #waiting = new AbortController();

  constructor(options: PeriodicPushOptions) {
    this.#options = options;
    void this.#run();
  }

  /** Starts the present wait over, with the interval of now. */
  reschedule(): void {
    this.#waiting.abort();
  }

  [Symbol.dispose](): void {
    this.#closing.abort();
  }

  async #run(): Promise<void> {
    const { firstAfterMs, intervalMs } = this.#options;
    const closing = this.#closing.signal;
    await this.#wait(firstAfterMs);
    while (!closing.aborted) {
      await this.#pushOnce(closing);
      do {
        this.#waiting = new AbortController();
        await this.#wait(intervalMs());
      } while (this.#waiting.signal.aborted && !closing.aborted);
    }
  }

  async #pushOnce(signal: AbortSignal): Promise<void> {
    const { name, measure, push, log } = this.#options;
    try {
      const measured = await measure(signal);
      if (!signal.aborted) push(measured);
    } catch (error) {
      if (!signal.aborted) log.warn({ collector: name, err: error }, 'measurement failed');
    }
  }

  async #wait(ms: number): Promise<void> {
    const signal = AbortSignal.any([this.#closing.signal, this.#waiting.signal]);
    await delay(ms, undefined, { signal, ref: false }).catch(() => undefined);
  }
}
