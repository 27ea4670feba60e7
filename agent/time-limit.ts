import { once } from 'node:events';

/** Rejects with the signal's reason once `limitMs` are over, even if the work ignores its signal. */
export async function withTimeLimit<T>(
  limitMs: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limited = AbortSignal.any([AbortSignal.timeout(limitMs), signal]);
  limited.throwIfAborted();
  return await Promise.race([work(limited), rejection(limited)]);
}

async function rejection(signal: AbortSignal): Promise<never> {
  await once(signal, 'abort');
  throw signal.reason;
}
