import { eq } from 'drizzle-orm';
import { expect, it } from 'vitest';
import { type DatabaseHandle, temporaryDatabase } from '../../test/support/temporary-database.ts';
import {
  MEAN_MAX_AGE_MS,
  MEAN_SECONDS,
  MetricsRepository,
  RAW_MAX_AGE_MS,
} from './metrics-repository.ts';
import { agentMetrics } from './schema.ts';

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

it('forgets the oldest rows of all agents past its cap', async () => {
  const database = temporaryDatabase();
  const { connection, db } = database;
  const old = [0, 1, 2].map((n) => measurement(START + n * MEAN_MS, n));
  const fresh = [0, 1, 2].map((n) => measurement(START + RAW_MAX_AGE_MS + n, n, 'a2'));
  const now = START + 3 * MEAN_MS + RAW_MAX_AGE_MS;
  await db.metrics.append([...old, ...fresh]);
  const times = () => [...rowsOf(database, 'a1'), ...rowsOf(database, 'a2')].map((row) => row.at);
  await new MetricsRepository(connection, 5).rollUp(now);
  expect(times()).toEqual([...old.slice(1), ...fresh].map((row) => row.at));
  await new MetricsRepository(connection, 2).rollUp(now);
  expect(times()).toEqual(fresh.slice(1).map((row) => row.at));
});
