import { expect, it } from 'vitest';
import { temporaryDatabase } from '../../test/support/temporary-database.ts';
import { EventRepository } from './event-repository.ts';

const event = (type: string, at: number, agentId = 'a1') => ({
  agentId,
  serverId: 'web-1',
  type,
  at,
});

const NOT_NUMBERED = { instanceId: null, seq: null };

it("lists an agent's newest events first, with their details", async () => {
  const { db } = temporaryDatabase();
  await db.events.append([
    { ...event('start', 1_000), detail: { container: 'db' } },
    event('die', 2_000),
    event('stop', 2_000),
    event('start', 3_000, 'a2'),
  ]);
  expect(await db.events.recent('a1', 10)).toEqual([
    { ...event('stop', 2_000), ...NOT_NUMBERED, id: 3, detail: null },
    { ...event('die', 2_000), ...NOT_NUMBERED, id: 2, detail: null },
    { ...event('start', 1_000), ...NOT_NUMBERED, id: 1, detail: { container: 'db' } },
  ]);
  expect(await db.events.recent('a1', 1)).toMatchObject([{ type: 'stop' }]);
});

it('records once what the same process of an agent numbers alike', async () => {
  const { db } = temporaryDatabase();
  const numbered = (instanceId: string, seq: number) => ({ ...event('die', 1), instanceId, seq });
  await db.events.append([numbered('i1', 1), numbered('i2', 1)]);
  await db.events.append([numbered('i1', 1), numbered('i1', 2), event('die', 1), event('die', 1)]);
  const rows = await db.events.recent('a1', 10);
  expect(rows.map(({ instanceId, seq }) => [instanceId, seq]).toReversed()).toEqual([
    ['i1', 1],
    ['i2', 1],
    ['i1', 2],
    [null, null],
    [null, null],
  ]);
});

it('lists the events of all agents in one order, and goes on after any of them', async () => {
  const { db } = temporaryDatabase();
  await db.events.append([
    event('start', 1_000),
    event('die', 3_000, 'a2'),
    event('stop', 2_000),
    event('start', 2_000, 'a2'),
  ]);
  const all = await db.events.list({ limit: 10 });
  expect(all.map(({ id }) => id)).toEqual([2, 4, 3, 1]);
  for (const [index, after] of all.entries()) {
    expect(await db.events.list({ after, limit: 10 })).toEqual(all.slice(index + 1));
  }
});

it('lists the events that meet every condition', async () => {
  const { db } = temporaryDatabase();
  await db.events.append([event('start', 1_000), event('die', 2_000), event('die', 3_000, 'a2')]);
  const ids = async (filter: object) =>
    (await db.events.list({ ...filter, limit: 10 })).map(({ id }) => id);
  expect(await ids({ agentId: 'a1' })).toEqual([2, 1]);
  expect(await ids({ type: 'die' })).toEqual([3, 2]);
  expect(await ids({ agentId: 'a1', type: 'die' })).toEqual([2]);
  expect(await ids({ since: 2_000 })).toEqual([3, 2]);
  expect(await ids({ until: 2_000 })).toEqual([1]);
});

it.each(['', "WHERE agent_id = 'a1'"])('has an index for the order of a page: %s', (condition) => {
  const { client } = temporaryDatabase();
  const query = `SELECT * FROM agent_events ${condition} ORDER BY at DESC, id DESC`;
  const plan = JSON.stringify(client.prepare(`EXPLAIN QUERY PLAN ${query}`).all());
  expect(plan).toContain('USING INDEX');
  expect(plan).not.toContain('TEMP B-TREE');
});

it('forgets what happened before a time', async () => {
  const { db } = temporaryDatabase();
  await db.events.append([event('start', 1_000), event('die', 2_000)]);
  expect(await db.events.deleteBefore(2_000)).toBe(1);
  expect(await db.events.recent('a1', 10)).toMatchObject([{ type: 'die' }]);
});

it('forgets past its cap the oldest events of the agents that have most', async () => {
  const { connection, db } = temporaryDatabase();
  const capped = new EventRepository(connection, { reported: 1_000 });
  const many = (agentId: string, count: number) =>
    Array.from({ length: count }, (_, at) => event('agent.start', 5_000 + at, agentId));
  await db.events.append([
    event('agent.die', 1_000, 'a0'),
    ...many('a1', 1_500),
    ...many('a2', 600),
  ]);
  await db.events.append(many('a3', 100));
  // 899 are left for the two that have more than their share.
  expect(await capped.deleteExcess()).toBe(1_500 - 449 + (600 - 449));
  const kept = async (agentId: string) => (await db.events.recent(agentId, 2_000)).length;
  expect(await Promise.all(['a0', 'a1', 'a2', 'a3'].map(kept))).toEqual([1, 449, 449, 100]);
  expect((await db.events.recent('a1', 2_000)).at(-1)).toHaveProperty('at', 5_000 + 1_500 - 449);
  expect(await capped.deleteExcess()).toBe(0);
});

it('takes nothing that the hub recorded about an agent for what agents report, however much that is', async () => {
  const { connection, db } = temporaryDatabase();
  const capped = new EventRepository(connection, { reported: 100, own: 100 });
  const many = (type: string, agentId: string, count: number) =>
    Array.from({ length: count }, (_, at) => event(type, 5_000 + at, agentId));
  await db.events.append([event('registered', 1_000), event('clone_refused', 2_000)]);
  for (const type of ['agent.', 'agent.noise', 'agent.~']) {
    await db.events.append(many(type, 'a1', 1_000));
  }
  await db.events.append(many('agent.die', 'a2', 30));
  expect(await capped.deleteExcess()).toBe(2_930);
  const kept = await db.events.recent('a1', 2_000);
  expect(kept.filter(({ type }) => type.startsWith('agent.'))).toHaveLength(70);
  expect(kept.slice(70).map(({ type }) => type)).toEqual(['clone_refused', 'registered']);
});

it('shares out what the hub recorded by type too: coming and going costs no other events', async () => {
  const { connection, db } = temporaryDatabase();
  const capped = new EventRepository(connection, { own: 100 });
  const comings = Array.from({ length: 200 }, (_, at) => [
    event('connected', 5_000 + at),
    event('disconnected', 5_000 + at),
  ]).flat();
  await db.events.append([event('registered', 1_000), event('agent.oom', 1_000), ...comings]);
  expect(await capped.deleteExcess()).toBe(302);
  const kept = (await db.events.recent('a1', 1_000)).map(({ type }) => type);
  const count = (type: string) => kept.filter((each) => each === type).length;
  expect(['registered', 'connected', 'disconnected', 'agent.oom'].map(count)).toEqual([
    1, 49, 49, 1,
  ]);
});

it('leaves events past its cap for the next time when it is aborted', async () => {
  const { connection, db } = temporaryDatabase();
  await db.events.append([event('connected', 1_000), event('connected', 2_000)]);
  const capped = new EventRepository(connection, { own: 1 });
  expect(await capped.deleteExcess(AbortSignal.abort())).toBe(0);
  expect(await capped.deleteExcess()).toBe(1);
});
