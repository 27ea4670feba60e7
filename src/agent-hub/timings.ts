import {
  CLOSE_TIMEOUT_MS,
  HANDSHAKE_TIMEOUT_MS,
  PING_AFTER_MS,
  PROMOTION_PING_MS,
  RETIRE_MAX_MS,
  SEND_BACKLOG_MAX_MS,
  SILENCE_GRACE_MS,
  SILENCE_MAX_MS,
  SWEEP_INTERVAL_MS,
  UNREAD_MAX_MS,
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
  /** How long more than SEND_BACKLOG_MAX_BYTES may wait for an agent that does not read. */
  readonly backlogMaxMs: number;
  /** How long a candidate has to answer the ping it is promoted for. */
  readonly promotionPingMs: number;
  /** How long a replaced agent may finish what it is doing. */
  readonly retireMaxMs: number;
  /** How long a lossless stream goes on that nobody reads. */
  readonly unreadMaxMs: number;
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
  backlogMaxMs: SEND_BACKLOG_MAX_MS,
  promotionPingMs: PROMOTION_PING_MS,
  retireMaxMs: RETIRE_MAX_MS,
  unreadMaxMs: UNREAD_MAX_MS,
  flushMs: 5_000,
};
