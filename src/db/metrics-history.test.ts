import { expect, it } from 'vitest';
import { temporaryDatabase } from '../../test/support/temporary-database.ts';
import type { HistoryQuery } from './metrics-history.ts';
import { RAW_MAX_AGE_MS } from './metrics-roll-up.ts';

const MINUTE = 60_000;
const START = 1_000 * 300_000;

const measurement = (at: number, cpu: number, load: number | null = null, agentId = 'a1') => ({
  agentId,
  at,
  cpu,
  memoryUsed: 1,
  memoryTotal: 2,
  memoryPercent: 50,
  diskUsed: 1,
  diskTotal: 2,
  diskPercent: 50,
  containersRunning: 0,
  containersStopped: 0,
  load,
});

const ofContainer = (container: string, at: number, cpu: number | null, agentId = 'a1') => ({
  agentId,
  container,
  at,
  cpu,
  memoryUsed: 7,
  memoryLimit: 10,
  networkRx: null,
  networkTx: null,
  diskRead: null,
  diskWrite: null,
});

const QUERY: HistoryQuery = {
  agentId: 'a1',
  metrics: ['cpu', 'load'],
  since: START,
  until: START + 10 * MINUTE,
  stepMs: 2 * MINUTE,
  aggregate: 'avg',
};

async function filled() {
  const { db } = temporaryDatabase();
  await db.metrics.append([
    measurement(START - 1, 99),
    measurement(START, 10, 1),
    measurement(START + MINUTE, 30),
    measurement(START + 4 * MINUTE, 20, 4),
    measurement(START + 10 * MINUTE, 99),
    measurement(START, 99, 9, 'a2'),
  ]);
  return db;
}

it.each([
  ['avg', 20, 1],
  ['min', 10, 1],
  ['max', 30, 1],
  ['last', 30, null],
] as const)(
  'takes the %s of each step, of the time and agent asked for',
  async (aggregate, cpu, load) => {
    const db = await filled();
    expect(await db.metricsHistory.points({ ...QUERY, aggregate })).toEqual([
      { at: START, values: [cpu, load] },
      { at: START + 4 * MINUTE, values: [20, 4] },
    ]);
  },
);

it('sums up the whole time', async () => {
  const db = await filled();
  expect(await db.metricsHistory.summaries(QUERY)).toEqual([
    { min: 10, max: 30, avg: 20 },
    { min: 1, max: 4, avg: 2.5 },
  ]);
  expect(await db.metricsHistory.summaries({ ...QUERY, agentId: 'absent' })).toEqual([
    { min: null, max: null, avg: null },
    { min: null, max: null, avg: null },
  ]);
});

it('reads on from means to measurements', async () => {
  const db = await filled();
  await db.metrics.rollUp(START + 5 * MINUTE + RAW_MAX_AGE_MS);
  const query = { ...QUERY, until: START + 11 * MINUTE, stepMs: 5 * MINUTE };
  expect(await db.metricsHistory.points(query)).toEqual([
    { at: START, values: [20, 2.5] },
    { at: START + 10 * MINUTE, values: [99, null] },
  ]);
});

it.each([5, 30])(
  'averages over time, not over rows: a day measured every %i s counts as much as a day of means',
  async (seconds) => {
    const { db } = temporaryDatabase();
    const day = RAW_MAX_AGE_MS;
    const start = 10 * day;
    const every = (from: number, ms: number, cpu: number) =>
      Array.from({ length: day / ms }, (_, n) => measurement(from + n * ms, cpu));
    await db.metrics.append(every(start, 5 * MINUTE, 10));
    await db.metrics.append(every(start + day, seconds * 1_000, 90));
    await db.metrics.rollUp(start + 2 * day);
    const query = { ...QUERY, metrics: ['cpu'], since: start, until: start + 2 * day } as const;
    expect(await db.metricsHistory.summaries(query)).toEqual([{ min: 10, max: 90, avg: 50 }]);
    // The second step is half a day of means and a day of measurements.
    expect(await db.metricsHistory.points({ ...query, stepMs: 1.5 * day })).toEqual([
      { at: 9 * day, values: [10] },
      { at: 10.5 * day, values: [expect.closeTo((10 + 2 * 90) / 3, 6)] },
    ]);
  },
);

it('counts measurements at the edge of the time by the time that is asked for', async () => {
  const { db } = temporaryDatabase();
  await db.metrics.append([
    measurement(START + 4 * MINUTE, 10),
    measurement(START + 5 * MINUTE, 60),
    measurement(START + 8 * MINUTE, 60),
  ]);
  const query: HistoryQuery = { ...QUERY, metrics: ['cpu'], since: START + 4 * MINUTE };
  const until = START + 9 * MINUTE;
  expect(await db.metricsHistory.summaries({ ...query, until })).toEqual([
    { min: 10, max: 60, avg: 50 },
  ]);
});

it('answers one container by its name, and which there are', async () => {
  const { db } = temporaryDatabase();
  await db.metrics.append(
    [],
    [
      ofContainer('web', START, 10),
      ofContainer('web', START + MINUTE, null),
      ofContainer('db', START, 50),
      ofContainer('other', START, 1, 'a2'),
    ],
  );
  const query: HistoryQuery = { ...QUERY, container: 'web', metrics: ['cpu', 'memory', 'load'] };
  expect(await db.metricsHistory.points(query)).toEqual([{ at: START, values: [10, 7, null] }]);
  expect(await db.metricsHistory.containers('a1')).toEqual(['db', 'web']);
  expect(await db.metricsHistory.containers('absent')).toEqual([]);
  expect(await db.metricsHistory.hasContainer('a1', 'web')).toBe(true);
  expect(await db.metricsHistory.hasContainer('a1', 'other')).toBe(false);
});
