import { hash } from 'node:crypto';
import { nowNanos } from '../docker/engine-time.ts';

/** More than engines keep to send again (256). */
const KEYS_MAX_COUNT = 1_024;
/** The engine stamps an event before it puts it among the others; what comes twice is known by its text. */
const OVERLAP_NANOS = 1_000_000_000n;

/** Which events were told: tells those that an engine sends again from new ones. */
export class EventHistory {
  readonly #keys = new Set<string>();
  readonly #wanted: bigint | undefined;
  #begun: bigint | undefined;
  #latest: bigint | undefined;

  /** @param wanted from when on, nanoseconds since 1970; undefined: from now */
  constructor(wanted?: bigint) {
    this.#wanted = wanted;
  }

  /** From when on the engine is to send, now or again. */
  get since(): bigint | undefined {
    const wanted = this.#wanted;
    if (this.#latest === undefined) return wanted ?? this.#begun;
    const now = nowNanos();
    // A time in the future is from before the clock was set back.
    const again = (this.#latest < now ? this.#latest : now) - OVERLAP_NANOS;
    return wanted === undefined || again > wanted ? again : wanted;
  }

  /** The engine sends what happens, since `at` by this process's clock. */
  begin(at: bigint): void {
    this.#begun ??= at;
  }

  /** @param text the event as the engine sent it, with its time to the nanosecond */
  isNew(text: string, at: bigint): boolean {
    const key = hash('sha1', text, 'base64');
    if (this.#keys.has(key)) return false;
    this.#keys.add(key);
    if (this.#latest === undefined || at > this.#latest) this.#latest = at;
    const [oldest] = this.#keys;
    if (oldest !== undefined && this.#keys.size > KEYS_MAX_COUNT) this.#keys.delete(oldest);
    return true;
  }
}
