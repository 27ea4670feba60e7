import { setImmediate } from 'node:timers/promises';
import type { Connection } from './connection.ts';

/** How long one transaction goes on. */
const STEP_MS = 20;

/**
 * Repeats a step until it says that nothing is left, in short transactions between which others have
 * their turn; false if it was aborted, after which the database may be closed. Throws DatabaseError.
 */
export async function inSteps(
  connection: Connection,
  signal: AbortSignal | undefined,
  step: () => boolean,
): Promise<boolean> {
  let isMore = true;
  while (isMore && signal?.aborted !== true) {
    isMore = await connection.transaction(() => {
      const endMs = performance.now() + STEP_MS;
      while (performance.now() < endMs) if (!step()) return false;
      return true;
    });
    if (isMore) await setImmediate();
  }
  return signal?.aborted !== true;
}
