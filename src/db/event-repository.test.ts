import { expect, it } from 'vitest';
import { temporaryDatabase } from '../../test/support/temporary-database.ts';
import { EventRepository } from './event-repository.ts';

const event = (type: string, at: number, agentId = 'a1') => ({
  agentId,
  serverId: 'web-1',
  type,
  at,
});

it("lists an agent's newest events first, with their details", async () => {
  const { db } = temporaryDatabase();
  await db.events.append([
    { ...event('start', 1_000), detail: { container: 'db' } },
    event('die', 2_000),
    event('stop', 2_000),
    event('start', 3_000, 'a2'),
  ]);
  expect(await db.events.recent('a1', 10)).toEqual([
    { ...event('stop', 2_000), id: 3, detail: null },
    { ...event('die', 2_000), id: 2, detail: null },
    { ...event('start', 1_000), id: 1, detail: { container: 'db' } },
  ]);
  expect(await db.events.recent('a1', 1)).toMatchObject([{ type: 'stop' }]);
});

it('forgets what happened before a time', async () => {
  const { db } = temporaryDatabase();
  await db.events.append([event('start', 1_000), event('die', 2_000)]);
  expect(await db.events.deleteBefore(2_000)).toBe(1);
  expect(await db.events.recent('a1', 10)).toMatchObject([{ type: 'die' }]);
});

it('forgets the oldest events of all agents past its cap', async () => {
  const { connection, db } = temporaryDatabase();
  const capped = new EventRepository(connection, 2);
  await db.events.append([event('start', 3_000), event('die', 2_000), event('stop', 1_000, 'a2')]);
  expect(await capped.deleteExcess()).toBe(1);
  expect(await db.events.recent('a1', 10)).toMatchObject([{ type: 'die' }]);
  expect(await db.events.recent('a2', 10)).toMatchObject([{ type: 'stop' }]);
  expect(await capped.deleteExcess()).toBe(0);
});
