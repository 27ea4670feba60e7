import type { Logger } from 'pino';
import type { AgentHub } from '../agent-hub/agent-hub.ts';
import type { AgentRow } from '../db/agent-row.ts';
import type { TomoDatabase } from '../db/database.ts';
import { tokenGraceMs, tokenRotationMs } from './fleet-settings.ts';

const ROUND_MS = 60_000;
/** Agents that get a new token in one round, so that a large fleet is spread over time. */
const ROUND_MAX_COUNT = 60;
/** Agents that are asked at one time. */
const AT_ONCE_COUNT = 4;

interface RotationDeps {
  readonly db: TomoDatabase;
  readonly hub: AgentHub;
  readonly log: Logger;
}

/** Every minute, and at the start: ends what is over its grace, and replaces tokens that are old. */
export class TokenRotation implements Disposable {
  readonly #deps: RotationDeps;
  readonly #timer: NodeJS.Timeout;
  readonly #ending = new AbortController();
  #round: Promise<void> | undefined;

  constructor(deps: RotationDeps) {
    this.#deps = deps;
    this.#timer = setInterval(() => void this.round(), ROUND_MS);
    this.#timer.unref();
    void this.round();
  }

  /** One round, or the one that is under way: never two at once. What fails is logged, and due again. */
  round(now: number = Date.now()): Promise<void> {
    this.#round ??= this.#work(now).finally(() => {
      this.#round = undefined;
    });
    return this.#round;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#ending.abort();
  }

  async #work(now: number): Promise<void> {
    const { db, log } = this.#deps;
    try {
      await db.agents.endGrace(now);
      const settings = await db.settings.all();
      const ageMs = tokenRotationMs(settings);
      if (ageMs === undefined) return;
      const due = await db.agents.tokensDue(now - ageMs, ROUND_MAX_COUNT);
      await this.#rotateAll(due, tokenGraceMs(settings));
    } catch (error) {
      log.error({ err: error }, 'tokens were not looked after; it is tried again in a minute');
    }
  }

  async #rotateAll(due: AgentRow[], graceMs: number): Promise<void> {
    const queue = due.values();
    const workers = Array.from({ length: AT_ONCE_COUNT }, async () => {
      for (const agent of queue) {
        if (this.#ending.signal.aborted) return;
        await this.#rotate(agent, graceMs);
      }
    });
    await Promise.all(workers);
  }

  async #rotate({ id, serverId }: AgentRow, graceMs: number): Promise<void> {
    const { hub, log } = this.#deps;
    try {
      await hub.rotateToken(id, { graceMs });
      log.info({ server: serverId }, 'agent has a new token');
    } catch (error) {
      log.warn({ err: error, server: serverId }, 'an agent did not take a new token; later again');
    }
  }
}
