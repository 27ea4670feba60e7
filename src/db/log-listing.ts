import type { Connection } from './connection.ts';
import type { logBatches } from './log-tables.ts';

/** A stored batch, its lines as JSON: see `parseLogLines`. */
export type LogBatchRow = typeof logBatches.$inferSelect;

/** Where a batch stands in the order of a search. */
export type BatchPlace = Pick<LogBatchRow, 'lastAt' | 'id'>;

export interface LogFilter {
  readonly agentIds?: readonly string[] | undefined;
  /** With lines of then or later, or before. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  /** With lines before this one: of an earlier time, or of that time in this batch or an earlier one. */
  readonly before?: { readonly at: number; readonly batch: number } | undefined;
  /** The last batch of the page before. */
  readonly after?: BatchPlace | undefined;
  readonly limit: number;
}

/** So many agents are each asked for their latest; the batches of more are picked out of those of all. */
const AGENTS_ASKED_MAX_COUNT = 32;

const LAST = Number.MAX_SAFE_INTEGER;
const END: BatchPlace = { lastAt: LAST, id: LAST };

/** Finds batches in the order of their latest lines, in indexes alone, and reads only those found. */
export class LogListing {
  readonly #statements: ReturnType<typeof prepare>;

  constructor(connection: Connection) {
    this.#statements = prepare(connection);
  }

  /** Those with the latest lines first. */
  list(filter: LogFilter): LogBatchRow[] {
    const { row } = this.#statements;
    return this.#places(filter).flatMap(({ id }) => row.get(id) ?? []);
  }

  #places({ agentIds, since = 0, until = LAST, before, after = END, limit }: LogFilter) {
    const { ofAll, ofAgent, ofAgents } = this.#statements;
    const { at: beforeAt, batch: beforeBatch } = before ?? { at: LAST, batch: LAST };
    // A page far back passes over all later batches: one comparison of each is enough.
    const firstBefore = Math.min(until, beforeAt + 1);
    const range = { since, firstBefore, beforeAt, beforeBatch, ...after, limit };
    if (agentIds === undefined) return ofAll.all(range);
    if (agentIds.length > AGENTS_ASKED_MAX_COUNT) {
      return ofAgents.all({ ...range, agentIds: JSON.stringify(agentIds) });
    }
    const latest = agentIds.flatMap((agentId) => ofAgent.all({ ...range, agentId }));
    return latest.toSorted(byPlace).slice(0, limit);
  }
}

function byPlace(one: BatchPlace, other: BatchPlace): number {
  return other.lastAt - one.lastAt || other.id - one.id;
}

type Range = BatchPlace &
  Record<'since' | 'firstBefore' | 'beforeAt' | 'beforeBatch' | 'limit', number>;

function prepare({ client }: Connection) {
  return {
    ofAll: client.prepare<[Range], BatchPlace>(places('true')),
    ofAgent: client.prepare<[Range & { readonly agentId: string }], BatchPlace>(
      places('agent_id = @agentId'),
    ),
    // The plus keeps SQLite from an index by agents, with which it would sort all their batches each time.
    ofAgents: client.prepare<[Range & { readonly agentIds: string }], BatchPlace>(
      places('+agent_id IN (SELECT value FROM json_each(@agentIds))'),
    ),
    row: client.prepare<[number], LogBatchRow>(
      `SELECT id, agent_id AS agentId, server_id AS serverId, first_at AS firstAt,
        last_at AS lastAt, bytes, containers, lines FROM log_batches WHERE id = ?`,
    ),
  };
}

function places(condition: string): string {
  return `SELECT id, last_at AS lastAt FROM log_batches
    WHERE first_at < @firstBefore AND ${condition}
      AND last_at >= @since AND (last_at, id) < (@lastAt, @id)
      AND (first_at, id) <= (@beforeAt, @beforeBatch)
    ORDER BY last_at DESC, id DESC LIMIT @limit`;
}
