import type { Logger } from 'pino';
import {
  DETACHED_WRITES_MAX_BYTES,
  DETACHED_WRITES_MAX_COUNT,
  DETACHED_WRITES_PER_AGENT_MAX_BYTES,
  DETACHED_WRITES_PER_AGENT_MAX_COUNT,
} from '../../protocol/limits.ts';

export interface DetachedWrite {
  readonly agentId: string;
  readonly kind: 'went' | 'came' | 'revoked' | 'answered' | 'stopped';
  /** What waits with it; only of an answer more than a few. */
  readonly bytes?: number;
  readonly run: () => Promise<void>;
}

/** What answers that wait take. */
interface Room {
  readonly count: number;
  readonly bytes: number;
}

const NONE: Room = { count: 0, bytes: 0 };

/**
 * Writes in their order, those that the database refuses kept for the next try. Of answers, which an
 * agent may make up, only so many wait: it keeps and brings again what it is not told to forget.
 */
export class DetachedWrites {
  readonly #log: Logger;
  #waiting: DetachedWrite[] = [];
  readonly #answers = new Map<string, Room>();
  #allAnswers = NONE;
  /** Whether it was said that answers are given up. */
  #hasSaid = false;

  constructor(log: Logger) {
    this.#log = log;
  }

  async write(write: DetachedWrite): Promise<void> {
    // Each try at a locked database holds everything up: one at a time is enough.
    if (this.#waiting.length === 0 && (await this.#try(write))) return;
    if (write.kind === 'came') this.#dropOlderArrival(write.agentId);
    if (write.kind === 'answered' && !this.#hasRoom(write)) return this.#sayOnce(write);
    this.#waiting.push(write);
    this.#count(write, 1);
  }

  /** Tries again what could not be written. */
  async retry(): Promise<void> {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (!(await this.#try(next))) return;
      this.#waiting.shift();
      this.#count(next, -1);
    }
    this.#hasSaid = false;
  }

  async #try({ run }: DetachedWrite): Promise<boolean> {
    try {
      await run();
      return true;
    } catch (error) {
      this.#log.error({ err: error }, 'what became of a command is recorded later');
      return false;
    }
  }

  /** The later of two arrivals ends what both would, if no command was left behind in between. */
  #dropOlderArrival(agentId: string): void {
    const at = this.#waiting.findLastIndex(
      (write) => write.agentId === agentId && write.kind !== 'answered',
    );
    // The first one may be under way.
    if (at > 0 && this.#waiting[at]?.kind === 'came') this.#waiting.splice(at, 1);
  }

  #hasRoom({ agentId, bytes = 0 }: DetachedWrite): boolean {
    const own = this.#answers.get(agentId) ?? NONE;
    const all = this.#allAnswers;
    return (
      own.count < DETACHED_WRITES_PER_AGENT_MAX_COUNT &&
      own.bytes + bytes <= DETACHED_WRITES_PER_AGENT_MAX_BYTES &&
      all.count < DETACHED_WRITES_MAX_COUNT &&
      all.bytes + bytes <= DETACHED_WRITES_MAX_BYTES
    );
  }

  #count({ agentId, kind, bytes = 0 }: DetachedWrite, sign: 1 | -1): void {
    if (kind !== 'answered') return;
    const own = added(this.#answers.get(agentId) ?? NONE, sign, bytes);
    if (own.count === 0) this.#answers.delete(agentId);
    else this.#answers.set(agentId, own);
    this.#allAnswers = added(this.#allAnswers, sign, bytes);
  }

  #sayOnce({ agentId }: DetachedWrite): void {
    if (this.#hasSaid) return;
    this.#hasSaid = true;
    this.#log.error(
      { agent_id: agentId },
      'too much waits for the database: answers are left to the agents, which bring them again',
    );
  }
}

function added({ count, bytes }: Room, sign: 1 | -1, more: number): Room {
  return { count: count + sign, bytes: bytes + sign * more };
}
