/**
 * What counters gained per second between two readings, by a clock that is never set. Counters begin
 * anew with whatever they belong to: a reading below the one before says nothing.
 */
export class CounterRates<K extends string> {
  readonly #readings = new Map<string, Reading<K>>();

  /** Undefined for the first reading of its key, and when any counter went backwards. */
  take(key: string, counters: Counters<K>, atMs: number): Counters<K> | undefined {
    const before = this.#readings.get(key);
    this.#readings.set(key, { atMs, counters });
    if (before === undefined || atMs <= before.atMs) return undefined;
    const seconds = (atMs - before.atMs) / 1_000;
    const rates = { ...counters };
    for (const name of namesOf(counters)) {
      const gained = counters[name] - before.counters[name];
      if (gained < 0) return undefined;
      rates[name] = Math.round(gained / seconds);
    }
    return rates;
  }

  /** Forgets what is not there any more. */
  keepOnly(keys: ReadonlySet<string>): void {
    for (const key of this.#readings.keys()) if (!keys.has(key)) this.#readings.delete(key);
  }
}

export type Counters<K extends string> = Record<K, number>;

interface Reading<K extends string> {
  readonly atMs: number;
  readonly counters: Counters<K>;
}

function namesOf<K extends string>(counters: Counters<K>): K[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Object.keys forgets the type of the keys
  return Object.keys(counters) as K[];
}
