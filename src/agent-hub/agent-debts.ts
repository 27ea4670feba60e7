import {
  UNASKED_ALLOWANCE_MS,
  UNASKED_DEBTS_MAX_COUNT,
  UNASKED_PAUSE_FACTOR,
  UNASKED_PAUSE_MAX_MS,
} from '../../protocol/limits.ts';

interface Debt {
  ms: number;
  at: number;
}

/**
 * The hub's time that each agent took with what nobody asked it for. It is paid off by waiting, and
 * belongs to the agent: neither a new socket nor a second one changes it.
 */
export class AgentDebts {
  /** The one charged longest ago first. */
  readonly #debts = new Map<string, Debt>();
  readonly #now: () => number;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Adds time that was spent on the agent. */
  charge(agentId: string, ms: number): void {
    const at = this.#now();
    const debt = { ms: this.#left(agentId, at) + ms, at };
    // Set again, so that the map's order is that of the last charge.
    this.#debts.delete(agentId);
    this.#debts.set(agentId, debt);
    const [oldest] = this.#debts.keys();
    if (this.#debts.size > UNASKED_DEBTS_MAX_COUNT && oldest !== undefined) {
      this.#debts.delete(oldest);
    }
  }

  /** Milliseconds for which nothing more should be read of the agent; 0 within the allowance. */
  pauseMs(agentId: string): number {
    const excess = this.#left(agentId, this.#now()) - UNASKED_ALLOWANCE_MS;
    return Math.min(Math.max(0, excess * UNASKED_PAUSE_FACTOR), UNASKED_PAUSE_MAX_MS);
  }

  #left(agentId: string, now: number): number {
    const debt = this.#debts.get(agentId);
    return debt === undefined ? 0 : Math.max(0, debt.ms - (now - debt.at) / UNASKED_PAUSE_FACTOR);
  }
}
