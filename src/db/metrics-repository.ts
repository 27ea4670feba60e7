import { and, desc, eq, sql } from 'drizzle-orm';
import type { Connection } from './connection.ts';
import { MEAN_SECONDS, RAW, rollUp } from './metrics-roll-up.ts';
import { type agentContainerMetrics, agentMetrics } from './metrics-tables.ts';

/** Rows of all agents together past which the oldest are forgotten, at some 200 bytes each. */
const METRICS_MAX_ROWS = 2_000_000;
/** The same of their containers. */
const CONTAINER_METRICS_MAX_ROWS = 4_000_000;

/** A measurement (`resolutionSeconds` 0), or a mean over the `resolutionSeconds` from `at` on. */
export type MetricsRow = typeof agentMetrics.$inferSelect;
type Figures = Omit<MetricsRow, 'resolutionSeconds'>;
/** What agents have not told from the first. */
type LaterFigure =
  | 'load'
  | 'swapUsed'
  | 'swapTotal'
  | 'networkRx'
  | 'networkTx'
  | 'diskRead'
  | 'diskWrite'
  | 'temperature';
/** Sizes in bytes, shares from 0 to 100, rates in bytes per second. */
export type Measurement = Omit<Figures, LaterFigure> & Partial<Pick<Figures, LaterFigure>>;

/** The same of one container. */
export type ContainerMeasurement = Omit<
  typeof agentContainerMetrics.$inferSelect,
  'resolutionSeconds'
>;

const NOT_TOLD: Pick<Figures, LaterFigure> = {
  load: null,
  swapUsed: null,
  swapTotal: null,
  networkRx: null,
  networkTx: null,
  diskRead: null,
  diskWrite: null,
  temperature: null,
};

interface MaxRows {
  readonly metrics: number;
  readonly containers: number;
}

const MAX_ROWS: MaxRows = { metrics: METRICS_MAX_ROWS, containers: CONTAINER_METRICS_MAX_ROWS };

/** The agents' metrics over time. Methods throw DatabaseError. */
export class MetricsRepository {
  readonly #connection: Connection;
  readonly #maxRows: MaxRows;
  readonly #append: ReturnType<typeof prepareAppend>;
  readonly #appendContainer: ReturnType<typeof prepareAppendContainer>;
  readonly #latest: ReturnType<typeof prepareLatest>;

  constructor(connection: Connection, maxRows: Partial<MaxRows> = {}) {
    this.#connection = connection;
    this.#maxRows = { ...MAX_ROWS, ...maxRows };
    this.#append = prepareAppend(connection);
    this.#appendContainer = prepareAppendContainer(connection);
    this.#latest = prepareLatest(connection);
  }

  /**
   * Records all of them or none; a second measurement of one agent or container and time replaces the
   * first.
   */
  async append(
    measurements: readonly Measurement[],
    containers: readonly ContainerMeasurement[] = [],
  ): Promise<void> {
    await this.#connection.transaction(() => {
      for (const measurement of measurements) this.#append.run({ ...NOT_TOLD, ...measurement });
      for (const measurement of containers) this.#appendContainer.run(measurement);
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

  /** Replaces old measurements by means, forgets old means, and keeps the tables within their caps. */
  async rollUp(now: number, signal?: AbortSignal): Promise<void> {
    const { metrics, containers } = this.#maxRows;
    const work = { now, signal };
    await rollUp(this.#connection, { ...work, table: 'agent_metrics', maxRows: metrics });
    await rollUp(this.#connection, {
      ...work,
      table: 'agent_container_metrics',
      maxRows: containers,
    });
  }
}

// Past drizzle, whose upsert cannot be prepared: building it anew took 30 times as long per row.
function prepareAppend({ client }: Connection) {
  return client.prepare<[Figures]>(`
    INSERT OR REPLACE INTO agent_metrics (
      agent_id, resolution_seconds, at, cpu, memory_used, memory_total, memory_percent,
      disk_used, disk_total, disk_percent, containers_running, containers_stopped,
      load, swap_used, swap_total, network_rx, network_tx, disk_read, disk_write, temperature
    ) VALUES (
      @agentId, ${RAW}, @at, @cpu, @memoryUsed, @memoryTotal, @memoryPercent,
      @diskUsed, @diskTotal, @diskPercent, @containersRunning, @containersStopped,
      @load, @swapUsed, @swapTotal, @networkRx, @networkTx, @diskRead, @diskWrite, @temperature
    )`);
}

function prepareAppendContainer({ client }: Connection) {
  return client.prepare<[ContainerMeasurement]>(`
    INSERT OR REPLACE INTO agent_container_metrics (
      agent_id, container, resolution_seconds, at, cpu, memory_used, memory_limit,
      network_rx, network_tx, disk_read, disk_write
    ) VALUES (
      @agentId, @container, ${RAW}, @at, @cpu, @memoryUsed, @memoryLimit,
      @networkRx, @networkTx, @diskRead, @diskWrite
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
