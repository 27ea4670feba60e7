import type { Statement } from 'better-sqlite3';
import { z } from 'zod';
import type { Connection } from './connection.ts';
import { inSteps } from './in-steps.ts';

/** Age at which measurements are replaced by means. */
export const RAW_MAX_AGE_MS = 24 * 60 * 60 * 1_000;
/** Age at which means are forgotten. */
export const MEAN_MAX_AGE_MS = 30 * 24 * 60 * 60 * 1_000;
/** Length of time that one mean is over. */
export const MEAN_SECONDS = 300;
/** The resolution of a measurement as it came. */
export const RAW = 0;

const MEAN_MS = MEAN_SECONDS * 1_000;
/** Measurements of so long ago have all been written. */
const SETTLED_AFTER_MS = 60_000;
/** How many rows are deleted at once. */
const DELETE_MAX_ROWS = 2_000;

interface Columns {
  readonly keys: readonly string[];
  readonly real: readonly string[];
  readonly integer: readonly string[];
}

const TABLES = {
  agent_metrics: {
    keys: ['agent_id'],
    real: [
      'cpu',
      'memory_percent',
      'disk_percent',
      'load',
      'network_rx',
      'network_tx',
      'disk_read',
      'disk_write',
      'temperature',
    ],
    integer: [
      'memory_used',
      'memory_total',
      'disk_used',
      'disk_total',
      'containers_running',
      'containers_stopped',
      'swap_used',
      'swap_total',
    ],
  },
  agent_container_metrics: {
    keys: ['agent_id', 'container'],
    real: ['cpu', 'network_rx', 'network_tx', 'disk_read', 'disk_write'],
    integer: ['memory_used', 'memory_limit'],
  },
} as const satisfies Record<string, Columns>;

type Table = keyof typeof TABLES;

interface RollUp {
  readonly table: Table;
  readonly now: number;
  readonly maxRows: number;
  /** Between two steps the rest is left for the next time. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Replaces measurements older than a day by means, sooner where there are so many that they take more
 * than half of the cap; forgets means older than 30 days, and the oldest rows past the cap. In short
 * transactions, between which others have their turn.
 */
export async function rollUp(connection: Connection, work: RollUp): Promise<void> {
  const { table, now, maxRows, signal } = work;
  // The database may be closed from then on.
  if (signal?.aborted === true) return;
  const rawBefore = await connection.run(() =>
    Math.max(
      startOfMean(now - RAW_MAX_AGE_MS),
      crowdedBefore(connection.client, table, { now, maxRaw: Math.floor(maxRows / 2) }),
    ),
  );
  const series = new SeriesRollUp(connection.client, table, {
    rawBefore,
    meansBefore: now - MEAN_MAX_AGE_MS,
  });
  if (!(await inSteps(connection, signal, () => series.next()))) return;
  const excess = excessOf(connection.client, table, maxRows);
  await inSteps(connection, signal, () => excess.delete());
}

type Client = Connection['client'];

/** Goes from one agent or container to the next. */
class SeriesRollUp {
  readonly #next: Statement<string[]>;
  readonly #changes: ReadonlyArray<readonly [statement: Statement<unknown[]>, before: number]>;
  #key: string[];

  constructor(
    client: Client,
    table: Table,
    { rawBefore, meansBefore }: { rawBefore: number; meansBefore: number },
  ) {
    const { keys } = TABLES[table];
    const all = keys.join(', ');
    const which = keys.map((key) => `${key} = ?`).join(' AND ');
    this.#key = keys.map(() => '');
    this.#next = client
      .prepare<string[]>(
        `SELECT ${all} FROM ${table} WHERE (${all}) > (${keys.map(() => '?').join(', ')})
        ORDER BY ${all} LIMIT 1`,
      )
      .raw();
    const forget = `DELETE FROM ${table} WHERE ${which} AND resolution_seconds =`;
    this.#changes = [
      [client.prepare(insertMeans(table, which)), rawBefore],
      [client.prepare(`${forget} ${RAW} AND at < ?`), rawBefore],
      [client.prepare(`${forget} ${MEAN_SECONDS} AND at < ?`), meansBefore],
    ];
  }

  /** False if there was none left. */
  next(): boolean {
    const key = this.#next.get(...this.#key);
    if (key === undefined) return false;
    this.#key = keySchema.parse(key);
    for (const [statement, before] of this.#changes) statement.run(...this.#key, before);
    return true;
  }
}

const keySchema = z.array(z.string());

// Measurements can come late if a clock was moved; the mean of more of them stands.
function insertMeans(table: Table, which: string): string {
  const { keys, real, integer } = TABLES[table];
  const columns = [...keys, 'resolution_seconds', 'at', ...real, ...integer];
  const means = [
    ...real.map((column) => `avg(${column})`),
    ...integer.map((column) => `CAST(round(avg(${column})) AS INTEGER)`),
  ];
  return `INSERT INTO ${table} (${columns.join(', ')})
    SELECT ${keys.join(', ')}, ${MEAN_SECONDS}, at - at % ${MEAN_MS} AS start, ${means.join(', ')}
    FROM ${table} WHERE ${which} AND resolution_seconds = ${RAW} AND at < ?
    GROUP BY start
    ON CONFLICT DO NOTHING`;
}

/** Before when measurements have to go so that no more than `maxRaw` are left; 0: never. */
function crowdedBefore(
  client: Client,
  table: Table,
  { now, maxRaw }: { now: number; maxRaw: number },
): number {
  const first = client
    .prepare<[number, number], { at: number }>(
      `SELECT at FROM ${table} WHERE resolution_seconds = ? ORDER BY at DESC LIMIT 1 OFFSET ?`,
    )
    .get(RAW, maxRaw);
  if (first === undefined) return 0;
  return Math.min(startOfMean(first.at) + MEAN_MS, startOfMean(now - SETTLED_AFTER_MS));
}

/** Means are cut at these times, so that each is made once, of all its measurements. */
function startOfMean(at: number): number {
  return Math.floor(at / MEAN_MS) * MEAN_MS;
}

/** What is past the cap. The means go first: all of them are older than any measurement. */
function excessOf(client: Client, table: Table, maxRows: number): { delete: () => boolean } {
  const count = client.prepare<[], { rows: number }>(`SELECT count(*) AS rows FROM ${table}`);
  const oldest = client.prepare<[number, number]>(
    `DELETE FROM ${table} WHERE rowid IN (
      SELECT rowid FROM ${table} WHERE resolution_seconds = ? ORDER BY at LIMIT ?
    )`,
  );
  let left: number | undefined;
  return {
    delete: () => {
      left ??= (count.get()?.rows ?? 0) - maxRows;
      if (left <= 0) return false;
      const some = Math.min(left, DELETE_MAX_ROWS);
      const deleted = oldest.run(MEAN_SECONDS, some).changes || oldest.run(RAW, some).changes;
      left -= deleted;
      return deleted > 0;
    },
  };
}
