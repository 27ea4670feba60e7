import {
  ATTEMPT_ADDRESSES_MAX_COUNT,
  ATTEMPTS_BURST_COUNT,
  ATTEMPTS_OVERALL_BURST_COUNT,
  ATTEMPTS_OVERALL_PER_MINUTE_COUNT,
  ATTEMPTS_PER_MINUTE_COUNT,
} from '../../protocol/limits.ts';

const MINUTE_MS = 60_000;

/**
 * Slows the guessing of registration codes: token buckets per address and over all. Only codes that
 * nobody was given count; a fleet behind one address is never locked out by its own agents.
 */
export class AttemptLimiter {
  readonly #byAddress = new Map<string, Bucket>();
  readonly #overall: Bucket;
  readonly #now: () => number;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#overall = new Bucket(
      ATTEMPTS_OVERALL_BURST_COUNT,
      ATTEMPTS_OVERALL_PER_MINUTE_COUNT,
      now(),
    );
  }

  /** Whether a registration from this address may be looked at. */
  allows(address: string): boolean {
    const bucket = this.#byAddress.get(address);
    const now = this.#now();
    return this.#overall.has(now) && (bucket === undefined || bucket.has(now));
  }

  /** Counts one unknown code. */
  countUnknownCode(address: string): void {
    const now = this.#now();
    const bucket =
      this.#byAddress.get(address) ??
      new Bucket(ATTEMPTS_BURST_COUNT, ATTEMPTS_PER_MINUTE_COUNT, now);
    // Set again, so that the map's order is that of the last attempt.
    this.#byAddress.delete(address);
    this.#byAddress.set(address, bucket);
    bucket.take(now);
    this.#overall.take(now);
    this.#forgetOldest();
  }

  #forgetOldest(): void {
    if (this.#byAddress.size <= ATTEMPT_ADDRESSES_MAX_COUNT) return;
    const [oldest] = this.#byAddress.keys();
    if (oldest !== undefined) this.#byAddress.delete(oldest);
  }
}

class Bucket {
  readonly #burst: number;
  readonly #perMinute: number;
  #tokens: number;
  #filledAt: number;

  constructor(burst: number, perMinute: number, now: number) {
    this.#burst = burst;
    this.#perMinute = perMinute;
    this.#tokens = burst;
    this.#filledAt = now;
  }

  has(now: number): boolean {
    this.#fill(now);
    return this.#tokens >= 1;
  }

  take(now: number): void {
    this.#fill(now);
    this.#tokens = Math.max(0, this.#tokens - 1);
  }

  #fill(now: number): void {
    const gained = ((now - this.#filledAt) / MINUTE_MS) * this.#perMinute;
    this.#tokens = Math.min(this.#burst, this.#tokens + gained);
    this.#filledAt = now;
  }
}
