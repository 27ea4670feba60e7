import { setImmediate } from 'node:timers/promises';
import type { Connection } from './connection.ts';

/** How long one transaction goes on. */
const STEP_MS = 20;

/** When it is whose turn: see `ownTurn`. */
const turns = new WeakMap<Connection, Promise<unknown>>();

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
  while (isMore) {
    await ownTurn(connection);
    if (signal?.aborted === true) return false;
    isMore = await connection.transaction(() => {
      const endMs = performance.now() + STEP_MS;
      while (performance.now() < endMs) if (!step()) return false;
      return true;
    });
  }
  return signal?.aborted !== true;
}

/** A turn of the loop that no other works of this kind share: many of them would hold it up as one does. */
async function ownTurn(connection: Connection): Promise<void> {
  const turn = (turns.get(connection) ?? Promise.resolve()).then(() => setImmediate());
  turns.set(connection, turn);
  await turn;
}
