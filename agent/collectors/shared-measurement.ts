/** One measurement at a time, shared by all who ask meanwhile; aborted once nobody waits for it. */
export class SharedMeasurement<T> {
  readonly #measure: (signal: AbortSignal) => Promise<T>;
  #running: Running<T> | undefined;

  constructor(measure: (signal: AbortSignal) => Promise<T>) {
    this.#measure = measure;
  }

  async take(signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    const running = (this.#running ??= this.#start());
    running.waiting += 1;
    const { promise: gaveUp, reject } = Promise.withResolvers<never>();
    const giveUp = (): void => reject(signal.reason);
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      return await Promise.race([running.done, gaveUp]);
    } finally {
      signal.removeEventListener('abort', giveUp);
      running.waiting -= 1;
      if (running.waiting === 0) this.#end(running);
    }
  }

  #start(): Running<T> {
    const abort = new AbortController();
    const done = this.#measure(abort.signal);
    // Nobody may be waiting for it any more when it fails.
    done.catch(() => undefined);
    return { abort, done, waiting: 0 };
  }

  #end(running: Running<T>): void {
    running.abort.abort();
    if (this.#running === running) this.#running = undefined;
  }
}

interface Running<T> {
  readonly abort: AbortController;
  readonly done: Promise<T>;
  waiting: number;
}
