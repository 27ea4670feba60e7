import type { CommandContext } from '../commands/handler.ts';

/** What goes on until there is no more, or its time is up. */
export interface Followed<E extends string, F extends object> {
  readonly run: () => Promise<E>;
  /** What has come of it so far. */
  readonly figures: () => F;
  /** Why it failed, for the caller. */
  readonly toError: (error: unknown) => Error;
}

/** Lets something run for so many seconds at most; then it has succeeded, too. */
export async function timeLimited<E extends string, F extends object>(
  context: CommandContext,
  seconds: number,
  begin: (context: CommandContext) => Followed<E, F>,
): Promise<F & { ended: E | 'timeout' }> {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), seconds * 1_000);
  const signal = AbortSignal.any([context.signal, timeout.signal]);
  const followed = begin({ ...context, signal });
  try {
    const ended = await followed.run();
    return { ...followed.figures(), ended };
  } catch (error) {
    const isTimeout = signal.aborted && signal.reason === timeout.signal.reason;
    if (isTimeout) return { ...followed.figures(), ended: 'timeout' };
    throw followed.toError(error);
  } finally {
    clearTimeout(timer);
  }
}
