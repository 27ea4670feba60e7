import { TomoError } from '../../protocol/errors.ts';
import { LOG_SEARCHES_MAX_COUNT } from '../../protocol/limits.ts';

/** Lets searches of the logs run one after the other: each takes as much time and memory as one may. */
export class SearchTurns {
  #last: Promise<unknown> = Promise.resolve();
  #count = 0;

  /** Throws LIMIT_REACHED if too many wait, and COMMAND_CANCELLED for one given up before its turn. */
  async take<T>(search: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    if (this.#count >= LOG_SEARCHES_MAX_COUNT) throw tooManySearches();
    this.#count += 1;
    const before = this.#last;
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    this.#last = Promise.all([before, over]);
    try {
      await turnOf(before, signal);
      return await search();
    } finally {
      this.#count -= 1;
      end();
    }
  }
}

async function turnOf(before: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(searchCancelled());
  if (signal?.aborted === true) throw searchCancelled();
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([before, aborted]);
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

export function searchCancelled(): TomoError {
  return new TomoError('COMMAND_CANCELLED', 'The search was cancelled.');
}

function tooManySearches(): TomoError {
  return new TomoError(
    'LIMIT_REACHED',
    `${LOG_SEARCHES_MAX_COUNT} searches of the logs are under way or wait already. Try again later.`,
    { facts: { limit: LOG_SEARCHES_MAX_COUNT } },
  );
}
