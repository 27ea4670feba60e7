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

/**
 * What `work` resolves with, or undefined if the signal aborts before. Nothing of it stays with the
 * signal, which may last much longer.
 */
export async function unlessAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
): Promise<T | undefined> {
  const { promise: aborted, resolve } = Promise.withResolvers<undefined>();
  const onAbort = (): void => resolve(undefined);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
