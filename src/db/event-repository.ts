import type { Statement } from 'better-sqlite3';
import { and, desc, eq, gte, lt, type SQL } from 'drizzle-orm';
import type { Connection } from './connection.ts';
import { fairShare } from './fair-share.ts';
import { inSteps } from './in-steps.ts';
import { isAfter } from './page-position.ts';
import { agentEvents } from './schema.ts';

/** Rows that all agents together reported past which some are forgotten. */
const REPORTED_MAX_ROWS = 200_000;
/** The same of what the hub itself recorded about agents, for which those give no way. */
const OWN_MAX_ROWS = 50_000;
/** How many are deleted at once. */
const DELETE_MAX_ROWS = 500;

interface MaxRows {
  readonly reported: number;
  readonly own: number;
}

/** As the index of the hub's own has it. */
const OWN = "(type < 'agent.' OR type >= 'agent/')";

/** Those among whom a kind of events is shared out: an agent, or one type of an agent's. */
interface Sharer {
  readonly agentId: string;
  readonly type: string;
}

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
  readonly #maxRows: MaxRows;
  readonly #shares: Record<keyof MaxRows, Shares>;

  constructor(connection: Connection, maxRows: Partial<MaxRows> = {}) {
    this.#connection = connection;
    this.#maxRows = { reported: REPORTED_MAX_ROWS, own: OWN_MAX_ROWS, ...maxRows };
    this.#shares = { reported: sharesOfReported(connection), own: sharesOfOwn(connection) };
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
   * Keeps the table within its caps: of the agents that have most the oldest go. Answers how many events
   * were forgotten.
   */
  async deleteExcess(signal?: AbortSignal): Promise<number> {
    return (await this.#trim('reported', signal)) + (await this.#trim('own', signal));
  }

  async #trim(kind: keyof MaxRows, signal: AbortSignal | undefined): Promise<number> {
    const counts = await this.#count(kind, signal);
    const share = fairShare([...counts.values()], this.#maxRows[kind]);
    let deleted = 0;
    for (const [sharer, count] of counts) {
      let excess = count - share;
      if (excess <= 0) continue;
      await inSteps(this.#connection, signal, () => {
        const limit = Math.min(excess, DELETE_MAX_ROWS);
        deleted += this.#shares[kind].deleteOldest.run({ ...sharer, limit }).changes;
        excess -= limit;
        return excess > 0;
      });
    }
    return deleted;
  }

  /** One at a time: all of them together are many rows. */
  async #count(kind: keyof MaxRows, signal: AbortSignal | undefined): Promise<Map<Sharer, number>> {
    const { next, count } = this.#shares[kind];
    const counts = new Map<Sharer, number>();
    let last: Sharer = { agentId: '', type: '' };
    await inSteps(this.#connection, signal, () => {
      const sharer = next.get(last);
      if (sharer === undefined) return false;
      last = sharer;
      counts.set(sharer, count.get(sharer) ?? 0);
      return true;
    });
    return counts;
  }
}

interface Shares {
  readonly next: Statement<[Sharer], Sharer>;
  readonly count: Statement<[Sharer], number>;
  readonly deleteOldest: Statement<[Sharer & { readonly limit: number }]>;
}

/** Agents share what they report. */
function sharesOfReported({ client }: Connection): Shares {
  return {
    next: client.prepare(
      `SELECT agent_id AS agentId, '' AS type FROM agent_events WHERE agent_id > @agentId
      ORDER BY agent_id LIMIT 1`,
    ),
    count: client
      .prepare<[Sharer], number>(
        `SELECT (SELECT count(*) FROM agent_events WHERE agent_id = @agentId)
          - (SELECT count(*) FROM agent_events WHERE agent_id = @agentId AND ${OWN})`,
      )
      .pluck(),
    deleteOldest: client.prepare(
      `DELETE FROM agent_events WHERE id IN (
        SELECT id FROM agent_events WHERE agent_id = @agentId AND NOT ${OWN}
        ORDER BY at, id LIMIT @limit
      )`,
    ),
  };
}

/** By type, so that an agent that comes and goes all the time takes only the room of that. */
function sharesOfOwn({ client }: Connection): Shares {
  return {
    next: client.prepare(
      `SELECT agent_id AS agentId, type FROM agent_events
      WHERE ${OWN} AND (agent_id, type) > (@agentId, @type) ORDER BY agent_id, type LIMIT 1`,
    ),
    count: client
      .prepare<[Sharer], number>(
        `SELECT count(*) FROM agent_events WHERE ${OWN} AND agent_id = @agentId AND type = @type`,
      )
      .pluck(),
    deleteOldest: client.prepare(
      `DELETE FROM agent_events WHERE id IN (
        SELECT id FROM agent_events WHERE ${OWN} AND agent_id = @agentId AND type = @type
        ORDER BY at, id LIMIT @limit
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
