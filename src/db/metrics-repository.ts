import { and, desc, eq, lt, sql } from 'drizzle-orm';
import type { Connection } from './connection.ts';
import { agentMetrics } from './schema.ts';

/** Age at which measurements are replaced by means. */
export const RAW_MAX_AGE_MS = 24 * 60 * 60 * 1_000;
/** Age at which means are forgotten. */
export const MEAN_MAX_AGE_MS = 30 * 24 * 60 * 60 * 1_000;
/** Length of time that one mean is over. */
export const MEAN_SECONDS = 300;
/** Rows of all agents together past which the oldest are forgotten, at some 200 bytes each. */
const METRICS_MAX_ROWS = 2_000_000;

const RAW = 0;
const MEAN_MS = MEAN_SECONDS * 1_000;

/** A measurement (`resolutionSeconds` 0), or a mean over the `resolutionSeconds` from `at` on. */
export type MetricsRow = typeof agentMetrics.$inferSelect;
/** Sizes in bytes, shares from 0 to 100. */
export type Measurement = Omit<MetricsRow, 'resolutionSeconds'>;

/** The agents' metrics over time. Methods throw DatabaseError. */
export class MetricsRepository {
  readonly #connection: Connection;
  readonly #maxRows: number;
  readonly #append: ReturnType<typeof prepareAppend>;
  readonly #latest: ReturnType<typeof prepareLatest>;

  constructor(connection: Connection, maxRows = METRICS_MAX_ROWS) {
    this.#connection = connection;
    this.#maxRows = maxRows;
    this.#append = prepareAppend(connection);
    this.#latest = prepareLatest(connection);
  }

  /** Records all of them or none; a second measurement of one agent and time replaces the first. */
  async append(measurements: readonly Measurement[]): Promise<void> {
    await this.#connection.transaction(() => {
      for (const measurement of measurements) this.#append.run(measurement);
    });
  }

  /** The newest measurement of an agent, or its newest mean if all have been replaced by means. */
  async latest(agentId: string): Promise<MetricsRow | undefined> {
    return this.#connection.run(
      () =>
        this.#latest.get({ agentId, resolution: RAW }) ??
        this.#latest.get({ agentId, resolution: MEAN_SECONDS }),
    );
  }

  /** Replaces old measurements by means, forgets old means, and keeps the table within its cap. */
  async rollUp(now: number): Promise<void> {
    // Cut between two means, so that each is made once, of all its measurements.
    const rawBefore = Math.floor((now - RAW_MAX_AGE_MS) / MEAN_MS) * MEAN_MS;
    await this.#connection.transaction(() => {
      this.#insertMeans(rawBefore);
      this.#deleteBefore(RAW, rawBefore);
      this.#deleteBefore(MEAN_SECONDS, now - MEAN_MAX_AGE_MS);
      this.#deleteExcess();
    });
  }

  #insertMeans(before: number): void {
    this.#connection.orm.run(sql`
      INSERT INTO agent_metrics (
        agent_id, resolution_seconds, at, cpu, memory_used, memory_total, memory_percent,
        disk_used, disk_total, disk_percent, containers_running, containers_stopped
      )
      SELECT agent_id, ${MEAN_SECONDS}, at - at % ${MEAN_MS} AS start, avg(cpu),
        CAST(round(avg(memory_used)) AS INTEGER), CAST(round(avg(memory_total)) AS INTEGER),
        avg(memory_percent),
        CAST(round(avg(disk_used)) AS INTEGER), CAST(round(avg(disk_total)) AS INTEGER),
        avg(disk_percent),
        CAST(round(avg(containers_running)) AS INTEGER),
        CAST(round(avg(containers_stopped)) AS INTEGER)
      FROM agent_metrics
      WHERE resolution_seconds = ${RAW} AND at < ${before}
      GROUP BY agent_id, start
      -- Measurements can come late if a clock was moved; the mean of more of them stands.
      ON CONFLICT DO NOTHING`);
  }

  #deleteBefore(resolution: number, time: number): void {
    const { resolutionSeconds, at } = agentMetrics;
    this.#connection.orm
      .delete(agentMetrics)
      .where(and(eq(resolutionSeconds, resolution), lt(at, time)))
      .run();
  }

  /** The means go first: all of them are older than any measurement. */
  #deleteExcess(): void {
    for (const resolution of [MEAN_SECONDS, RAW]) {
      this.#connection.orm.run(sql`
        DELETE FROM agent_metrics WHERE rowid IN (
          SELECT rowid FROM agent_metrics WHERE resolution_seconds = ${resolution} ORDER BY at
          LIMIT max(0, (SELECT count(*) FROM agent_metrics) - ${this.#maxRows})
        )`);
    }
  }
}

// Past drizzle, whose upsert cannot be prepared: building it anew took 30 times as long per row.
function prepareAppend({ client }: Connection) {
  return client.prepare<[Measurement]>(`
    INSERT OR REPLACE INTO agent_metrics (
      agent_id, resolution_seconds, at, cpu, memory_used, memory_total, memory_percent,
      disk_used, disk_total, disk_percent, containers_running, containers_stopped
    ) VALUES (
      @agentId, ${RAW}, @at, @cpu, @memoryUsed, @memoryTotal, @memoryPercent,
      @diskUsed, @diskTotal, @diskPercent, @containersRunning, @containersStopped
    )`);
}

function prepareLatest({ orm }: Connection) {
  return orm
    .select()
    .from(agentMetrics)
    .where(
      and(
        eq(agentMetrics.agentId, sql.placeholder('agentId')),
        eq(agentMetrics.resolutionSeconds, sql.placeholder('resolution')),
      ),
    )
    .orderBy(desc(agentMetrics.at))
    .limit(1)
    .prepare();
}
