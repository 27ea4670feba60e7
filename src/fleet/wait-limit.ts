/**
 * How long one wait may last: `signal` aborts after some time, when the caller's does, and with the end
 * of the wait, so that nothing is left behind.
 */
export class WaitLimit implements Disposable {
  readonly #over = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #caller: AbortSignal | undefined;
  readonly #end = (): void => this.#over.abort();

  constructor(ms: number, caller: AbortSignal | undefined) {
    this.#timer = setTimeout(this.#end, ms);
    this.#caller = caller;
    caller?.addEventListener('abort', this.#end, { once: true });
    if (caller?.aborted === true) this.#end();
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#caller?.removeEventListener('abort', this.#end);
    this.#end();
  }
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}
