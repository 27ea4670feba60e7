import { crc32 } from 'node:zlib';
import type { LogMessage } from './log-messages.ts';

/** An engine that begins another file repeats a line or few of the one before. */
const MESSAGES_MAX_COUNT = 1_024;
const TIME_BITS = 32n;
const KEY_BITS = 64;

/** The last messages that came of one output, by time and text. */
export class RecentMessages {
  readonly #keys = new BigInt64Array(MESSAGES_MAX_COUNT);
  #count = 0;
  #latest: bigint | undefined;

  /** Whether the message is among them; it is from then on. */
  hadBefore({ nanos, text }: Pick<LogMessage, 'nanos' | 'text'>): boolean {
    const key = BigInt.asIntN(KEY_BITS, nanos ^ (BigInt(crc32(text)) << TIME_BITS));
    const isLatest = this.#latest === undefined || nanos > this.#latest;
    if (isLatest) this.#latest = nanos;
    else if (this.#keys.subarray(0, this.#count).includes(key)) return true;
    this.#keys[this.#count % MESSAGES_MAX_COUNT] = key;
    this.#count += 1;
    return false;
  }
}
