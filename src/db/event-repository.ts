import { and, desc, eq, gte, lt, type SQL } from 'drizzle-orm';
import type { Connection } from './connection.ts';
import { fairShare } from './fair-share.ts';
import { inSteps } from './in-steps.ts';
import { isAfter } from './page-position.ts';
import { agentEvents } from './schema.ts';

/** Rows of all agents together past which some are forgotten. */
const EVENTS_MAX_ROWS = 200_000;
/** How many are deleted at once. */
const DELETE_MAX_ROWS = 500;

/** Something that happened to an agent or on its server. Ids grow in the order of recording. */
export type EventRow = typeof agentEvents.$inferSelect;
export type NewEvent = Omit<typeof agentEvents.$inferInsert, 'id'>;

export interface EventFilter {
  readonly agentId?: string | undefined;
  readonly type?: string | undefined;
  /** Happened then or later. */
  readonly since?: number | undefined;
  /** Happened before. */
  readonly until?: number | undefined;
  /** The last event of the page before. */
  readonly after?: Pick<EventRow, 'at' | 'id'> | undefined;
  readonly limit: number;
}

/** What happened to the agents. Methods throw DatabaseError. */
export class EventRepository {
  readonly #connection: Connection;
  readonly #maxRows: number;
  readonly #fair: ReturnType<typeof prepareFair>;

  constructor(connection: Connection, maxRows = EVENTS_MAX_ROWS) {
    this.#connection = connection;
    this.#maxRows = maxRows;
    this.#fair = prepareFair(connection);
  }

  /** Records all of them or none; one that its agent sends again stays once. */
  async append(events: Iterable<NewEvent>): Promise<void> {
    await this.#connection.transaction(() => {
      const { orm } = this.#connection;
      for (const event of events) orm.insert(agentEvents).values(event).onConflictDoNothing().run();
    });
  }

  /** The newest events of an agent first. */
  async recent(agentId: string, limit: number): Promise<EventRow[]> {
    return this.list({ agentId, limit });
  }

  /** Events of any agents, the newest first; of the same millisecond the last recorded first. */
  async list(filter: EventFilter): Promise<EventRow[]> {
    return this.#connection.run(() =>
      this.#connection.orm
        .select()
        .from(agentEvents)
        .where(and(...conditions(filter)))
        .orderBy(desc(agentEvents.at), desc(agentEvents.id))
        .limit(filter.limit)
        .all(),
    );
  }

  /** Forgets what happened before a time. Answers how many events. */
  async deleteBefore(time: number): Promise<number> {
    return this.#connection.run(
      () => this.#connection.orm.delete(agentEvents).where(lt(agentEvents.at, time)).run().changes,
    );
  }

  /**
   * Keeps the table within its cap: of the agents that have most the oldest go. Answers how many events
   * were forgotten.
   */
  async deleteExcess(signal?: AbortSignal): Promise<number> {
    const counts = await this.#countByAgent(signal);
    const share = fairShare([...counts.values()], this.#maxRows);
    let deleted = 0;
    for (const [agentId, count] of counts) {
      let excess = count - share;
      if (excess <= 0) continue;
      await inSteps(this.#connection, signal, () => {
        const some = Math.min(excess, DELETE_MAX_ROWS);
        deleted += this.#fair.deleteOldest.run(agentId, some).changes;
        excess -= some;
        return excess > 0;
      });
    }
    return deleted;
  }

  /** One agent at a time: all of them together are many rows. */
  async #countByAgent(signal: AbortSignal | undefined): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    let last = '';
    await inSteps(this.#connection, signal, () => {
      const next = this.#fair.nextAgent.get(last);
      if (next === undefined) return false;
      last = next.agentId;
      counts.set(last, this.#fair.count.get(last)?.rows ?? 0);
      return true;
    });
    return counts;
  }
}

function prepareFair({ client }: Connection) {
  return {
    nextAgent: client.prepare<[string], { agentId: string }>(
      `SELECT agent_id AS agentId FROM agent_events WHERE agent_id > ?
      ORDER BY agent_id LIMIT 1`,
    ),
    count: client.prepare<[string], { rows: number }>(
      'SELECT count(*) AS rows FROM agent_events WHERE agent_id = ?',
    ),
    deleteOldest: client.prepare<[string, number]>(
      `DELETE FROM agent_events WHERE id IN (
        SELECT id FROM agent_events WHERE agent_id = ? ORDER BY at, id LIMIT ?
      )`,
    ),
  };
}

function conditions({ agentId, type, since, until, after }: EventFilter): (SQL | undefined)[] {
  return [
    agentId === undefined ? undefined : eq(agentEvents.agentId, agentId),
    type === undefined ? undefined : eq(agentEvents.type, type),
    since === undefined ? undefined : gte(agentEvents.at, since),
    until === undefined ? undefined : lt(agentEvents.at, until),
    after === undefined ? undefined : isAfter(agentEvents, after),
  ];
}
