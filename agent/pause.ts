import { setTimeout as delay } from 'node:timers/promises';

/** Waits; rejects with the signal's own reason, which says who gave up. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
  signal.throwIfAborted();
}
