import { desc, eq, lt, sql } from 'drizzle-orm';
import type { Connection } from './connection.ts';
import { agentEvents } from './schema.ts';

/** Rows of all agents together past which the oldest are forgotten. */
const EVENTS_MAX_ROWS = 200_000;

/** Something that happened to an agent or on its server. Ids grow in the order of recording. */
export type EventRow = typeof agentEvents.$inferSelect;
export type NewEvent = Omit<typeof agentEvents.$inferInsert, 'id'>;

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
    return this.#connection.run(() =>
      this.#connection.orm
        .select()
        .from(agentEvents)
        .where(eq(agentEvents.agentId, agentId))
        .orderBy(desc(agentEvents.at), desc(agentEvents.id))
        .limit(limit)
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
