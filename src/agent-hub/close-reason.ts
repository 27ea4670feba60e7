import { CLOSE_REASON_MAX_BYTES } from '../../protocol/limits.ts';

/** A text cut to what a close frame holds, never inside a character. */
export function closeReason(text: string): string {
  let reason = text;
  while (Buffer.byteLength(reason) > CLOSE_REASON_MAX_BYTES) {
    reason = Array.from(reason).slice(0, -1).join('');
  }
  return reason;
}
