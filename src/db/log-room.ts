import type { Connection } from './connection.ts';
import type { LogBounds } from './log-repository.ts';

/** Batches that go together at most, and their bytes: so much is deleted within milliseconds. */
const EVICTED_AT_ONCE_COUNT = 64;
const EVICTED_AT_ONCE_BYTES = 1024 * 1024;

interface Excess {
  readonly agentId: string;
  readonly bytes: number;
}

/** What the logs of each agent take. To be used inside transactions. */
export class LogRoom {
  readonly #statements: ReturnType<typeof prepare>;
  /** Of each agent; counted when it is first asked for. */
  #bytes: Map<string, number> | undefined;
  #overall = 0;

  constructor(connection: Connection) {
    this.#statements = prepare(connection);
  }

  bytesOf(agentId: string): number {
    return this.#counted().get(agentId) ?? 0;
  }

  /** Notes that an agent's logs take so much more, or less. */
  add(agentId: string, bytes: number): void {
    const counted = this.#counted();
    const sum = (counted.get(agentId) ?? 0) + bytes;
    if (sum > 0) counted.set(agentId, sum);
    else counted.delete(agentId);
    this.#overall += bytes;
  }

  /** A transaction was undone: what there is has to be counted anew. */
  undone(): void {
    this.#bytes = undefined;
  }

  /**
   * Lets some of what is past the bounds go, `maxBytes` of it or one batch more. Answers how many bytes
   * that was: 0 if nothing is past them.
   */
  evictSome(agentId: string, bounds: LogBounds, maxBytes = Number.POSITIVE_INFINITY): number {
    const excess = this.#excess(agentId, bounds);
    return excess === undefined
      ? 0
      : this.dropOldest(excess.agentId, Math.min(excess.bytes, maxBytes));
  }

  /** Lets the oldest batches of an agent go, some at a time. Answers how many bytes they were. */
  dropOldest(agentId: string, maxBytes = Number.POSITIVE_INFINITY): number {
    const wanted = Math.min(maxBytes, EVICTED_AT_ONCE_BYTES);
    let dropped = 0;
    let last = 0;
    for (const { id, bytes } of this.#statements.oldest.all(agentId)) {
      if (dropped >= wanted) break;
      dropped += bytes;
      last = id;
    }
    // Before they go: what there is may be counted only now.
    this.add(agentId, -dropped);
    this.#statements.deleteUpTo.run(agentId, last);
    return dropped;
  }

  #excess(agentId: string, { agentBytes, overallBytes }: LogBounds): Excess | undefined {
    const own = this.bytesOf(agentId) - agentBytes;
    if (own > 0) return { agentId, bytes: own };
    // Of whoever keeps most, so that none costs the others theirs.
    const greediest = this.#overall > overallBytes ? this.#greediest() : undefined;
    if (greediest === undefined) return undefined;
    return { agentId: greediest, bytes: this.#overall - overallBytes };
  }

  #greediest(): string | undefined {
    let greediest: string | undefined;
    let most = 0;
    for (const [agentId, bytes] of this.#counted()) {
      if (bytes > most) [greediest, most] = [agentId, bytes];
    }
    return greediest;
  }

  #counted(): Map<string, number> {
    if (this.#bytes !== undefined) return this.#bytes;
    const sums = this.#statements.sums.all();
    this.#bytes = new Map(sums.map(({ agentId, bytes }) => [agentId, bytes]));
    this.#overall = sums.reduce((all, { bytes }) => all + bytes, 0);
    return this.#bytes;
  }
}

// Past drizzle: a statement built anew for every batch took longer than deleting it.
function prepare({ client }: Connection) {
  return {
    sums: client.prepare<[], Excess>(
      'SELECT agent_id AS agentId, sum(bytes) AS bytes FROM log_batches GROUP BY agent_id',
    ),
    oldest: client.prepare<[string], { id: number; bytes: number }>(
      `SELECT id, bytes FROM log_batches WHERE agent_id = ?
      ORDER BY id LIMIT ${EVICTED_AT_ONCE_COUNT}`,
    ),
    deleteUpTo: client.prepare<[string, number]>(
      'DELETE FROM log_batches WHERE agent_id = ? AND id <= ?',
    ),
  };
}
