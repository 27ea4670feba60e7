import type { EngineEvent } from './engine-event.ts';

/** More than engines keep to send again. */
const KEYS_MAX_COUNT = 1_024;
/** Messages can be a little out of order; what comes twice is known by its key. */
const OVERLAP_MS = 1_000;

/** Which events were told: tells those that an engine sends again from new ones. */
export class EventHistory {
  readonly #keys = new Set<string>();
  #latest = 0;

  /** From when on the engine is to send again, in seconds as it wants them; undefined: from now. */
  get since(): string | undefined {
    if (this.#latest === 0) return undefined;
    return ((this.#latest - OVERLAP_MS) / 1_000).toFixed(3);
  }

  isNew({ key, at }: EngineEvent): boolean {
    if (this.#keys.has(key)) return false;
    this.#keys.add(key);
    this.#latest = Math.max(this.#latest, at);
    if (this.#keys.size > KEYS_MAX_COUNT) {
      for (const oldest of this.#keys) {
        this.#keys.delete(oldest);
        break;
      }
    }
    return true;
  }
}
