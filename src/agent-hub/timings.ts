import {
  CLOSE_TIMEOUT_MS,
  HANDSHAKE_TIMEOUT_MS,
  PING_AFTER_MS,
  SILENCE_GRACE_MS,
  SILENCE_MAX_MS,
  SWEEP_INTERVAL_MS,
} from '../../protocol/limits.ts';

/** The hub's waits, in milliseconds; tests shorten them. */
export interface HubTimings {
  readonly handshakeMs: number;
  /** How long a closed socket may take to answer. */
  readonly closeMs: number;
  readonly sweepMs: number;
  readonly pingAfterMs: number;
  readonly silenceMaxMs: number;
  readonly silenceGraceMs: number;
  /** How often last_seen, metrics and events are written. */
  readonly flushMs: number;
}

export const HUB_TIMINGS: HubTimings = {
  handshakeMs: HANDSHAKE_TIMEOUT_MS,
  closeMs: CLOSE_TIMEOUT_MS,
  sweepMs: SWEEP_INTERVAL_MS,
  pingAfterMs: PING_AFTER_MS,
  silenceMaxMs: SILENCE_MAX_MS,
  silenceGraceMs: SILENCE_GRACE_MS,
  flushMs: 5_000,
};
