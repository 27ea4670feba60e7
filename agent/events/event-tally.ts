/** Names that are counted apart; the rest is counted together. */
const NAMES_MAX_COUNT = 20;

/** What is told of events that were too many to be told each. */
interface Summary {
  /** ISO 8601. */
  readonly since: string;
  readonly until: string;
  /** How many of each type. */
  readonly events: Readonly<Record<string, number>>;
  /** How many of each container, image, volume or network, the first of them. */
  readonly names: Readonly<Record<string, number>>;
}

/** Counts events; there are a dozen types. */
export class EventTally {
  #events = new Map<string, number>();
  #names = new Map<string, number>();
  #since = 0;

  add(type: string, name: string): void {
    if (this.#events.size === 0) this.#since = Date.now();
    count(this.#events, type);
    if (name !== '' && (this.#names.has(name) || this.#names.size < NAMES_MAX_COUNT)) {
      count(this.#names, name);
    }
  }

  /** What was counted since the last time; undefined if that is nothing. */
  take(): Summary | undefined {
    if (this.#events.size === 0) return undefined;
    const summary = {
      since: new Date(this.#since).toISOString(),
      until: new Date().toISOString(),
      events: Object.fromEntries(this.#events),
      names: Object.fromEntries(this.#names),
    };
    this.#events = new Map();
    this.#names = new Map();
    return summary;
  }
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
