import { and, desc, eq, gte, lt, type SQL, sql } from 'drizzle-orm';
import type { Connection } from './connection.ts';
import { isAfter } from './page-position.ts';
import { agentEvents } from './schema.ts';

/** Rows of all agents together past which the oldest are forgotten. */
const EVENTS_MAX_ROWS = 200_000;

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

  constructor(connection: Connection, maxRows = EVENTS_MAX_ROWS) {
    this.#connection = connection;
    this.#maxRows = maxRows;
  }

  /** Records all of them or none. */
  async append(events: Iterable<NewEvent>): Promise<void> {
    await this.#connection.transaction(() => {
      for (const event of events) this.#connection.orm.insert(agentEvents).values(event).run();
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

  /** Keeps the table within its cap. Answers how many events were forgotten. */
  async deleteExcess(): Promise<number> {
    return this.#connection.run(
      () =>
        this.#connection.orm.run(sql`
          DELETE FROM agent_events WHERE id IN (
            SELECT id FROM agent_events ORDER BY id
            LIMIT max(0, (SELECT count(*) FROM agent_events) - ${this.#maxRows})
          )`).changes,
    );
  }
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
