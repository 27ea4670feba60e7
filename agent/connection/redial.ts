import { CLOSE_CODES } from '../../protocol/handshake.ts';
import {
  REDIAL_FIRST_MS,
  REDIAL_HEALTHY_AFTER_MS,
  REDIAL_MAX_MS,
  REDIAL_MIN_MS,
  REDIAL_SLOW_MS,
} from '../../protocol/limits.ts';

/** How one dial, or the session it led to, ended. */
export interface Ending {
  /** The socket's close code; 1006 if the hub was not reached. */
  readonly closeCode: number;
  /** How long the agent was authenticated, 0 if it never was. */
  readonly authenticatedMs: number;
}

/** When to dial again, and the count to hand in the next time. */
export interface Redial {
  readonly delayMs: number;
  readonly failedDials: number;
}

// A clone stays one until a person removes it.
const CLONE_FACTOR = 5;
const SLOW_FACTORS = new Map<number, number>([
  [CLOSE_CODES.NOT_AUTHENTICATED, 1],
  [CLOSE_CODES.SUPERSEDED, 1],
  [CLOSE_CODES.CLONE, CLONE_FACTOR],
  [CLOSE_CODES.TOO_MANY_ATTEMPTS, 1],
]);

/**
 * Full jitter below a ceiling that doubles with every failed dial, so that a fleet spreads out when
 * its hub comes back. `random` is in [0, 1).
 */
export function planRedial(failedBefore: number, ending: Ending, random: number): Redial {
  const slowFactor = SLOW_FACTORS.get(ending.closeCode);
  if (slowFactor !== undefined) {
    return { delayMs: REDIAL_SLOW_MS * slowFactor * (0.5 + random), failedDials: 0 };
  }
  const failedDials = isFreshStart(ending) ? 0 : failedBefore + 1;
  const ceilingMs = Math.min(REDIAL_MAX_MS, REDIAL_FIRST_MS * 2 ** Math.max(0, failedDials - 1));
  return { delayMs: Math.max(REDIAL_MIN_MS, ceilingMs * random), failedDials };
}

function isFreshStart({ closeCode, authenticatedMs }: Ending): boolean {
  return closeCode === CLOSE_CODES.SERVICE_RESTART || authenticatedMs >= REDIAL_HEALTHY_AFTER_MS;
}
