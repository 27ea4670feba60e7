import { eq } from 'drizzle-orm';
import { expect, it } from 'vitest';
import { type DatabaseHandle, temporaryDatabase } from '../../test/support/temporary-database.ts';
import { MetricsRepository } from './metrics-repository.ts';
import { MEAN_MAX_AGE_MS, MEAN_SECONDS, RAW_MAX_AGE_MS } from './metrics-roll-up.ts';
import { agentContainerMetrics, agentMetrics } from './metrics-tables.ts';

const MEAN_MS = MEAN_SECONDS * 1_000;
const START = 1_000 * MEAN_MS;

const measurement = (at: number, n = 1, agentId = 'a1') => ({
  agentId,
  at,
  cpu: n,
  memoryUsed: n * 10,
  memoryTotal: 1_000,
  memoryPercent: n,
  diskUsed: n * 100,
  diskTotal: 10_000,
  diskPercent: n,
  containersRunning: n,
  containersStopped: 0,
  load: n,
  swapUsed: n,
  swapTotal: 10,
  networkRx: n,
  networkTx: n,
  diskRead: n,
  diskWrite: n,
  temperature: n,
});

const ofContainer = (at: number, n = 1, container = 'web') => ({
  agentId: 'a1',
  container,
  at,
  cpu: n,
  memoryUsed: n,
  memoryLimit: 10,
  networkRx: n,
  networkTx: null,
  diskRead: n,
  diskWrite: n,
});

/** What is kept of an agent, the oldest first. */
const rowsOf = ({ connection }: DatabaseHandle, agentId: string) =>
  connection.orm
    .select()
    .from(agentMetrics)
    .where(eq(agentMetrics.agentId, agentId))
    .orderBy(agentMetrics.at)
    .all();

it('answers the newest measurement of an agent', async () => {
  const { db } = temporaryDatabase();
  await db.metrics.append([measurement(2, 5), measurement(1), measurement(3, 9, 'a2')]);
  expect(await db.metrics.latest('a1')).toEqual({ ...measurement(2, 5), resolutionSeconds: 0 });
  expect(await db.metrics.latest('absent')).toBeUndefined();
});

it('replaces a measurement of the same agent and time', async () => {
  const database = temporaryDatabase();
  const { db } = database;
  await db.metrics.append([measurement(1, 5), measurement(1, 6)]);
  await db.metrics.append([measurement(1, 7)]);
  expect(rowsOf(database, 'a1')).toEqual([{ ...measurement(1, 7), resolutionSeconds: 0 }]);
});

it('replaces measurements older than a day by means over five minutes', async () => {
  const database = temporaryDatabase();
  const { db } = database;
  await db.metrics.append([
    measurement(START, 1),
    measurement(START + MEAN_MS - 1, 4),
    measurement(START + MEAN_MS, 8),
    measurement(START, 40, 'a2'),
  ]);
  await db.metrics.rollUp(START + MEAN_MS + RAW_MAX_AGE_MS);
  expect(rowsOf(database, 'a1')).toEqual([
    {
      ...measurement(START, 2.5),
      containersRunning: 3,
      swapUsed: 3,
      resolutionSeconds: MEAN_SECONDS,
    },
    { ...measurement(START + MEAN_MS, 8), resolutionSeconds: 0 },
  ]);
  expect(rowsOf(database, 'a2')).toMatchObject([{ cpu: 40, resolutionSeconds: 300 }]);
  expect(await db.metrics.latest('a1')).toMatchObject({ cpu: 8 });
  expect(await db.metrics.latest('a2')).toMatchObject({ cpu: 40 });
});

it('waits with a mean until all of its five minutes are older than a day', async () => {
  const database = temporaryDatabase();
  const { db } = database;
  await db.metrics.append([measurement(START), measurement(START + MEAN_MS - 1)]);
  await db.metrics.rollUp(START + MEAN_MS - 1 + RAW_MAX_AGE_MS);
  expect(rowsOf(database, 'a1')).toMatchObject([
    { resolutionSeconds: 0 },
    { resolutionSeconds: 0 },
  ]);
});

it('keeps a mean that is there when a measurement of its time comes late', async () => {
  const database = temporaryDatabase();
  const { db } = database;
  const now = START + MEAN_MS + RAW_MAX_AGE_MS;
  await db.metrics.append([measurement(START, 1), measurement(START + 1, 3)]);
  await db.metrics.rollUp(now);
  await db.metrics.append([measurement(START + 2, 50)]);
  await db.metrics.rollUp(now);
  expect(rowsOf(database, 'a1')).toMatchObject([{ cpu: 2, resolutionSeconds: 300 }]);
});

it('forgets means older than thirty days', async () => {
  const database = temporaryDatabase();
  const { db } = database;
  await db.metrics.append([measurement(START), measurement(START + MEAN_MS)]);
  await db.metrics.rollUp(START + 2 * MEAN_MS + RAW_MAX_AGE_MS);
  await db.metrics.rollUp(START + MEAN_MS + MEAN_MAX_AGE_MS);
  expect(rowsOf(database, 'a1')).toMatchObject([{ at: START + MEAN_MS }]);
});

it('makes means sooner where measurements take more than half of its cap', async () => {
  const database = temporaryDatabase();
  const { connection, db } = database;
  const minutes = Array.from({ length: 15 }, (_, n) => measurement(START + n * 60_000, n));
  const now = START + 15 * 60_000;
  await db.metrics.append(minutes);
  await new MetricsRepository(connection, { metrics: 18 }).rollUp(now);
  const rows = rowsOf(database, 'a1');
  // Nine may stay as they are: the first six go, with the rest of their five minutes.
  expect(rows.filter((row) => row.resolutionSeconds === 0).map((row) => row.cpu)).toEqual([
    10, 11, 12, 13, 14,
  ]);
  expect(rows.slice(0, 2)).toMatchObject([
    { cpu: 2, resolutionSeconds: MEAN_SECONDS },
    { cpu: 7, resolutionSeconds: MEAN_SECONDS },
  ]);
});

it('forgets the oldest rows of all agents past its cap', async () => {
  const database = temporaryDatabase();
  const { connection, db } = database;
  const old = [0, 1, 2].map((n) => measurement(START + n * MEAN_MS, n));
  const fresh = [0, 1, 2].map((n) => measurement(START + RAW_MAX_AGE_MS + n, n, 'a2'));
  // The last five minutes may still be incomplete.
  const now = START + MEAN_MS + RAW_MAX_AGE_MS;
  await db.metrics.append([...old.slice(0, 1), ...fresh]);
  const times = () => [...rowsOf(database, 'a1'), ...rowsOf(database, 'a2')].map((row) => row.at);
  await new MetricsRepository(connection, { metrics: 4 }).rollUp(now);
  expect(times()).toEqual([...old.slice(0, 1), ...fresh].map((row) => row.at));
  await new MetricsRepository(connection, { metrics: 3 }).rollUp(now);
  expect(times()).toEqual(fresh.map((row) => row.at));
  await new MetricsRepository(connection, { metrics: 2 }).rollUp(now);
  expect(times()).toEqual(fresh.slice(1).map((row) => row.at));
});

it('keeps containers in the same way, each by itself', async () => {
  const { connection, db } = temporaryDatabase();
  const rows = () =>
    connection.orm.select().from(agentContainerMetrics).orderBy(agentContainerMetrics.at).all();
  await db.metrics.append(
    [],
    [ofContainer(START, 1), ofContainer(START + 1, 4), ofContainer(START, 7, 'db')],
  );
  await db.metrics.append([], [ofContainer(START + MEAN_MS, 8)]);
  await db.metrics.rollUp(START + MEAN_MS + RAW_MAX_AGE_MS);
  expect(rows()).toMatchObject([
    { container: 'db', cpu: 7, resolutionSeconds: MEAN_SECONDS },
    { container: 'web', cpu: 2.5, memoryUsed: 3, networkTx: null, resolutionSeconds: MEAN_SECONDS },
    { container: 'web', cpu: 8, resolutionSeconds: 0 },
  ]);
  await new MetricsRepository(connection, { containers: 2 }).rollUp(START + 2 * MEAN_MS);
  expect(rows()).toHaveLength(2);
});

it('records nothing of a batch of which a row cannot be kept', async () => {
  const database = temporaryDatabase();
  database.client.exec(`CREATE TRIGGER refuse BEFORE INSERT ON agent_container_metrics
    BEGIN SELECT RAISE(ABORT, 'refused'); END`);
  const appending = database.db.metrics.append([measurement(1)], [ofContainer(1)]);
  await expect(appending).rejects.toHaveProperty('name', 'DatabaseError');
  expect(rowsOf(database, 'a1')).toEqual([]);
});

it('stops between two steps when it is aborted', async () => {
  const database = temporaryDatabase();
  await database.db.metrics.append([measurement(START)]);
  await database.db.metrics.rollUp(START + MEAN_MS + RAW_MAX_AGE_MS, AbortSignal.abort());
  expect(rowsOf(database, 'a1')).toMatchObject([{ resolutionSeconds: 0 }]);
});
