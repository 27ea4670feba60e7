import { desc, eq, lt } from 'drizzle-orm';
import type { Connection } from './connection.ts';
import { agentEvents } from './schema.ts';

/** Something that happened to an agent or on its server. Ids grow in the order of recording. */
export type EventRow = typeof agentEvents.$inferSelect;
export type NewEvent = Omit<typeof agentEvents.$inferInsert, 'id'>;

/** What happened to the agents. Methods throw DatabaseError. */
export class EventRepository {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Records all of them or none. */
  async append(events: readonly NewEvent[]): Promise<void> {
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
}
