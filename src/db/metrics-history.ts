import { z } from 'zod';
import type { Connection } from './connection.ts';
import { MEAN_SECONDS, RAW } from './metrics-roll-up.ts';

/** What is kept of servers over time, and in which column. */
const HOST_COLUMNS = {
  cpu: 'cpu',
  load: 'load',
  memory: 'memory_used',
  memory_percent: 'memory_percent',
  swap: 'swap_used',
  disk: 'disk_used',
  disk_percent: 'disk_percent',
  network_rx: 'network_rx',
  network_tx: 'network_tx',
  disk_read: 'disk_read',
  disk_write: 'disk_write',
  temperature: 'temperature',
  containers_running: 'containers_running',
  containers_stopped: 'containers_stopped',
} as const;

/** The same of containers. */
const CONTAINER_COLUMNS = {
  cpu: 'cpu',
  memory: 'memory_used',
  memory_limit: 'memory_limit',
  network_rx: 'network_rx',
  network_tx: 'network_tx',
  disk_read: 'disk_read',
  disk_write: 'disk_write',
} as const;

type HostMetric = keyof typeof HOST_COLUMNS;
type ContainerMetric = keyof typeof CONTAINER_COLUMNS;
export type Metric = HostMetric | ContainerMetric;

export const HOST_METRICS = namesOf(HOST_COLUMNS);
export const CONTAINER_METRICS = namesOf(CONTAINER_COLUMNS);

/** Names of containers that are answered at most. */
const CONTAINERS_MAX_COUNT = 100;

const STEP = 'at - at % @stepMs';
const MEAN_MS = MEAN_SECONDS * 1_000;
/** The time in which what was measured becomes one mean. */
const PART = `at - at % ${MEAN_MS}`;

export const AGGREGATES = ['avg', 'min', 'max', 'last'] as const;
type Aggregate = (typeof AGGREGATES)[number];

export interface HistoryQuery {
  readonly agentId: string;
  /** Its name; the server itself if left out. */
  readonly container?: string | undefined;
  readonly metrics: readonly Metric[];
  readonly since: number;
  readonly until: number;
  readonly stepMs: number;
  readonly aggregate: Aggregate;
}

/** Values in the order of the metrics asked for; null: not measured. */
export interface HistoryPoint {
  /** When the step begins, a multiple of its length. */
  readonly at: number;
  readonly values: ReadonlyArray<number | null>;
}

export interface HistorySummary {
  readonly min: number | null;
  readonly max: number | null;
  readonly avg: number | null;
}

/** Reads measurements and means together, in steps of any length. Methods throw DatabaseError. */
export class MetricsHistory {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** The steps in which anything was measured, the oldest first. */
  async points(query: HistoryQuery): Promise<HistoryPoint[]> {
    const columns = columnsOf(query);
    const rows = await this.#select(
      query.aggregate === 'avg' ? averagesOf(query) : pickedOf(query, query.aggregate),
      query,
    );
    return rows.map(([at, ...measured]) => ({
      at: at ?? 0,
      values: measured.slice(0, columns.length),
    }));
  }

  /** Of each metric over the whole time. */
  async summaries(query: HistoryQuery): Promise<HistorySummary[]> {
    const columns = columnsOf(query);
    const values = columns.flatMap((column) => [`min(${column})`, `max(${column})`]);
    const [row = []] = await this.#select(`SELECT ${values.join(', ')} ${rangeOf(query)}`, query);
    const whole = { ...query, stepMs: Number.MAX_SAFE_INTEGER };
    const [[, ...averages] = []] = await this.#select(averagesOf(whole), whole);
    return columns.map((_, index) => {
      const [min = null, max = null] = row.slice(index * 2, index * 2 + 2);
      return { min, max, avg: averages[index] ?? null };
    });
  }

  /** The first names of containers of an agent of which anything is kept, in their order. */
  async containers(agentId: string): Promise<string[]> {
    // From name to name by the index, past the thousands of rows of each.
    const names = await this.#connection.run(() =>
      this.#connection.client
        .prepare(
          `WITH RECURSIVE names(name) AS (
            SELECT min(container) FROM agent_container_metrics WHERE agent_id = @agentId
            UNION ALL
            SELECT (
              SELECT min(container) FROM agent_container_metrics
              WHERE agent_id = @agentId AND container > name
            ) FROM names WHERE name IS NOT NULL
          )
          SELECT name FROM names WHERE name IS NOT NULL LIMIT ${CONTAINERS_MAX_COUNT}`,
        )
        .pluck()
        .all({ agentId }),
    );
    return z.array(z.string()).parse(names);
  }

  /** Whether anything is kept of a container of that name. */
  async hasContainer(agentId: string, container: string): Promise<boolean> {
    const found = await this.#connection.run(() =>
      this.#connection.client
        .prepare(
          'SELECT 1 FROM agent_container_metrics WHERE agent_id = ? AND container = ? LIMIT 1',
        )
        .get(agentId, container),
    );
    return found !== undefined;
  }

  async #select(
    text: string,
    { agentId, container, since, until, stepMs }: HistoryQuery,
  ): Promise<Array<Array<number | null>>> {
    const rows = await this.#connection.run(() =>
      this.#connection.client.prepare(text).raw().all({ agentId, container, since, until, stepMs }),
    );
    return rowsSchema.parse(rows);
  }
}

const rowsSchema = z.array(z.array(z.number().nullable()));

function namesOf<M extends string>(columns: Readonly<Record<M, string>>): M[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Object.keys forgets the type of the keys
  return Object.keys(columns) as M[];
}

function columnsOf({ metrics, container }: HistoryQuery): string[] {
  const known: Readonly<Record<string, string>> =
    container === undefined ? HOST_COLUMNS : CONTAINER_COLUMNS;
  return metrics.map((metric) => known[metric] ?? 'NULL');
}

function pickedOf(query: HistoryQuery, aggregate: Exclude<Aggregate, 'avg'>): string {
  const columns = columnsOf(query);
  // Beside max(at) SQLite takes the other columns from the row that has it.
  const values =
    aggregate === 'last'
      ? [...columns, 'max(at)']
      : columns.map((column) => `${aggregate}(${column})`);
  return `SELECT ${STEP}, ${values.join(', ')} ${rangeOf(query)} GROUP BY 1 ORDER BY 1`;
}

/**
 * In each step first of what was measured in the length of a mean, then of those by the time that they
 * are of: where there are measurements and not means there are many more rows.
 */
function averagesOf(query: HistoryQuery): string {
  const columns = columnsOf(query);
  const parts = columns.map((column, index) => `avg(${column}) AS v${index}`);
  const averages = columns.map(
    (_, index) => `sum(v${index} * ms) / sum(ms) FILTER (WHERE v${index} IS NOT NULL)`,
  );
  return `SELECT step, ${averages.join(', ')} FROM (
    SELECT ${STEP} AS step, ${parts.join(', ')},
      min(${PART} + ${MEAN_MS}, ${STEP} + @stepMs, @until) - max(${PART}, ${STEP}, @since) AS ms
    ${rangeOf(query)} GROUP BY ${STEP}, ${PART}
  ) GROUP BY step ORDER BY step`;
}

function rangeOf({ container }: HistoryQuery): string {
  const [table, which] =
    container === undefined
      ? ['agent_metrics', '']
      : ['agent_container_metrics', 'AND container = @container'];
  return `FROM ${table} WHERE agent_id = @agentId ${which}
    AND resolution_seconds IN (${RAW}, ${MEAN_SECONDS}) AND at >= @since AND at < @until`;
}
