import type { Logger } from 'pino';
import {
  CALL_TIMEOUT_MAX_MS,
  DETACHED_MAX_MS,
  RESULT_KEPT_MS,
  RUNNING_MARGIN_MS,
} from '../../protocol/limits.ts';
import { endNotRecorded, neverCameBack } from '../agent-hub/connection-errors.ts';
import type { TomoDatabase } from '../db/database.ts';

/** Often, because a round is one transaction that everything else waits for. */
const ROUND_MS = 5 * 60 * 1_000;
const DAY_MS = 24 * 60 * 60 * 1_000;
/** So long an agent that comes with an old code is told so, and is not taken for one that guesses. */
const CODES_KEPT_MS = 30 * DAY_MS;
const EVENTS_KEPT_MS = 30 * DAY_MS;
const AUDIT_KEPT_MS = 365 * DAY_MS;

/** Every few minutes: metrics become means, what is old goes, agents are waited for no longer. */
export class Housekeeping implements Disposable {
  readonly #timer: NodeJS.Timeout;
  readonly #closing = new AbortController();

  constructor(db: TomoDatabase, log: Logger) {
    const { signal } = this.#closing;
    this.#timer = setInterval(() => void tidy(db, log, Date.now(), signal), ROUND_MS);
    this.#timer.unref();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#closing.abort();
  }
}

/** One round of it; what fails is logged and tried again in the next. */
export async function tidy(
  db: TomoDatabase,
  log: Logger,
  now: number = Date.now(),
  signal?: AbortSignal,
): Promise<void> {
  const lostBefore = now - CALL_TIMEOUT_MAX_MS - RUNNING_MARGIN_MS;
  const works: (() => Promise<unknown>)[] = [
    () => db.metrics.rollUp(now, signal),
    () => db.agents.deleteExpiredCodes(now - CODES_KEPT_MS),
    () => db.events.deleteBefore(now - EVENTS_KEPT_MS),
    () => db.events.deleteExcess(signal),
    () => db.commands.loseDetachedBefore(now - DETACHED_MAX_MS, neverCameBack()),
    () => db.commands.loseRunningBefore(lostBefore, endNotRecorded()),
    () => db.results.deleteBefore(now - RESULT_KEPT_MS, signal),
    () => db.commands.deleteBefore(now - AUDIT_KEPT_MS),
  ];
  try {
    for (const work of works) {
      await work();
      // The database is closed by now.
      if (signal?.aborted === true) return;
    }
  } catch (error) {
    log.error({ err: error }, 'housekeeping failed; it is tried again in the next round');
  }
}
