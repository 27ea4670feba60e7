import { setImmediate } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { slowClock } from '../../test/support/slow-clock.ts';
import { temporaryDatabase } from '../../test/support/temporary-database.ts';
import { Connection } from './connection.ts';
import type { TomoDatabase } from './database.ts';
import {
  LogRepository,
  type NewLogBatch,
  type NewLogLine,
  parseLogLines,
} from './log-repository.ts';

const BOUNDS = { agentBytes: 1024 * 1024, overallBytes: 16 * 1024 * 1024 };
/** Room for thirty batches of a line. */
const LOWERED = { ...BOUNDS, agentBytes: 10_000 };
const START_S = 1_700_000_000;

function line(number: number, more: Partial<NewLogLine> = {}): NewLogLine {
  const at = `${START_S + number}000000000`;
  return { container: 0, stream: 'stdout', at, n: 0, text: `line ${number}`, ...more };
}

function batch(count: number, lines: NewLogLine[], more: Partial<NewLogBatch> = {}): NewLogBatch {
  const containers = [{ id: 'c1', name: 'web' }];
  return { agentId: 'a', serverId: 's', epoch: 'e1', batch: count, containers, lines, ...more };
}

/** Answers what they take. */
async function storeMany(db: TomoDatabase, last: number): Promise<number> {
  for (let count = 1; count <= last; count += 1) {
    await db.logs.store(batch(count, [line(count)]), BOUNDS);
  }
  return db.logs.bytesOf('a');
}

async function texts(db: TomoDatabase, agentIds?: string[]) {
  const rows = await db.logs.list({ agentIds, limit: 1_000 });
  return rows.toReversed().flatMap((row) => parseLogLines(row).map(({ text }) => text));
}

describe('LogRepository', () => {
  it('keeps lines with their container, output, time, and whether they were cut or others lost', async () => {
    const { db } = temporaryDatabase();
    const cut = line(2, { stream: 'stderr', cut: true });
    const lost = line(3, { lost: true });
    expect(await db.logs.store(batch(1, [line(1), cut, lost]), BOUNDS)).toBe(3);
    const [row] = await db.logs.list({ limit: 10 });
    expect(row && parseLogLines(row)).toEqual([
      {
        containerId: 'c1',
        container: 'web',
        stream: 'stdout',
        at: (START_S + 1) * 1_000,
        text: 'line 1',
        isCut: false,
        isLost: false,
      },
      {
        containerId: 'c1',
        container: 'web',
        stream: 'stderr',
        at: (START_S + 2) * 1_000,
        text: 'line 2',
        isCut: true,
        isLost: false,
      },
      {
        containerId: 'c1',
        container: 'web',
        stream: 'stdout',
        at: (START_S + 3) * 1_000,
        text: 'line 3',
        isCut: false,
        isLost: true,
      },
    ]);
  });

  it('stores a batch that comes again only once', async () => {
    const { db } = temporaryDatabase();
    await db.logs.store(batch(1, [line(1)]), BOUNDS);
    await db.logs.store(batch(2, [line(2)]), BOUNDS);
    expect(await db.logs.store(batch(1, [line(1)]), BOUNDS)).toBe(0);
    expect(await texts(db)).toEqual(['line 1', 'line 2']);
  });

  it('leaves out what another process of the agent has brought before', async () => {
    const { db } = temporaryDatabase();
    const same = line(2, { n: 1, text: 'line 2 again' });
    await db.logs.store(batch(7, [line(1), line(2)]), BOUNDS);
    const again = batch(1, [line(1), line(2), same, line(3)], { epoch: 'e2' });
    expect(await db.logs.store(again, BOUNDS)).toBe(2);
    expect(await texts(db)).toEqual(['line 1', 'line 2', 'line 2 again', 'line 3']);
  });

  it('takes lines whose time is earlier while the same process goes on: its clock was moved', async () => {
    const { db } = temporaryDatabase();
    await db.logs.store(batch(1, [line(100)]), BOUNDS);
    expect(await db.logs.store(batch(2, [line(1)]), BOUNDS)).toBe(1);
  });

  it('gives a line of the future the time of its arrival, and passes over one of no container', async () => {
    const { db } = temporaryDatabase();
    const before = Date.now();
    const future = line(1, { at: '99999999999999999999' });
    await db.logs.store(batch(1, [future, line(2, { container: 5 })]), BOUNDS);
    const rows = await db.logs.list({ limit: 10 });
    expect(rows.map(({ lastAt }) => lastAt >= before && lastAt <= Date.now())).toEqual([true]);
    expect(await texts(db)).toEqual(['line 1']);
  });

  it('keeps lines of times far apart in rows of their own, each with the containers of its lines', async () => {
    const { db } = temporaryDatabase();
    const containers = ['web', 'db', 'idle'].map((name) => ({ id: `${name}-id`, name }));
    const old = [line(2, { container: 1 }), line(1, { container: 1 })];
    const late = line(1_000_000);
    await db.logs.store(batch(1, [late, ...old], { containers }), BOUNDS);
    const rows = await db.logs.list({ limit: 10 });
    expect(rows.map((row) => row.containers)).toEqual(['[["web-id","web"]]', '[["db-id","db"]]']);
    expect(rows.map(({ firstAt, lastAt }) => lastAt - firstAt)).toEqual([0, 1_000]);
    const lines = rows.flatMap((row) => parseLogLines(row));
    expect(lines.map(({ container, text }) => `${container} ${text}`)).toEqual([
      'web line 1000000',
      'db line 1',
      'db line 2',
    ]);
  });

  it('makes few rows of a batch, however far apart its times are', async () => {
    const { db } = temporaryDatabase();
    const lines = Array.from({ length: 1_000 }, (_, count) => line(count * -1_000_000));
    await db.logs.store(batch(1, lines), BOUNDS);
    const rows = await db.logs.list({ limit: 1_000 });
    expect(rows.length).toBeLessThanOrEqual(65);
    expect(rows.flatMap((row) => parseLogLines(row))).toHaveLength(1_000);
  });

  it('keeps the newest of an agent within its bound, and of all within theirs', async () => {
    const { db } = temporaryDatabase();
    const text = 'x'.repeat(1_000);
    const bounds = { agentBytes: 10_000, overallBytes: 15_000 };
    for (let count = 1; count <= 50; count += 1) {
      await db.logs.store(batch(count, [line(count, { text: `${count} ${text}` })]), bounds);
    }
    const kept = await texts(db);
    expect(kept.length).toBeGreaterThan(5);
    expect(await db.logs.bytesOf('a')).toBeLessThanOrEqual(bounds.agentBytes);
    expect(kept.at(-1)).toMatch(/^50 /);
    for (let count = 1; count <= 50; count += 1) {
      const other = batch(count, [line(count, { text })], { agentId: 'b' });
      await db.logs.store(other, bounds);
    }
    expect((await db.logs.bytesOf('a')) + (await db.logs.bytesOf('b'))).toBeLessThanOrEqual(15_000);
    expect(await texts(db, ['b'])).not.toEqual([]);
    await db.logs.trim('b', { ...bounds, agentBytes: 1_500 });
    expect(await texts(db, ['b'])).toHaveLength(1);
  });

  it('lets the oldest of the agent go that keeps most when all together are too much', async () => {
    const { db } = temporaryDatabase();
    const text = 'x'.repeat(1_000);
    const bounds = { agentBytes: 100_000, overallBytes: 20_000 };
    const modest = batch(1, [line(1, { text: `modest ${text}` })], { agentId: 'b' });
    await db.logs.store(modest, bounds);
    for (let count = 1; count <= 50; count += 1) {
      await db.logs.store(batch(count, [line(count, { text: `${count} ${text}` })]), bounds);
    }
    expect(await texts(db, ['b'])).toHaveLength(1);
    const kept = await texts(db, ['a']);
    expect(kept.at(-1)).toMatch(/^50 /);
    expect(kept[0]).not.toMatch(/^1 /);
    const all = (await db.logs.bytesOf('a')) + (await db.logs.bytesOf('b'));
    expect(all).toBeLessThanOrEqual(bounds.overallBytes);
    expect(all).toBeGreaterThan(bounds.overallBytes / 2);
  });

  it('lets what lowered bounds leave no room for go in steps, between which others have their turn', async () => {
    const { db, client } = temporaryDatabase();
    const before = await storeMany(db, 300);
    slowClock();
    const trimmed = db.logs.trim('a', LOWERED);
    for (let turn = 1; turn <= 3; turn += 1) await setImmediate();
    const between = await db.logs.bytesOf('a');
    expect(between).toBeLessThan(before);
    expect(between).toBeGreaterThan(LOWERED.agentBytes);
    await db.logs.store(batch(301, [line(301)]), BOUNDS);
    await trimmed;
    const kept = await db.logs.bytesOf('a');
    expect(kept).toBeLessThanOrEqual(LOWERED.agentBytes);
    expect(kept).toBe(client.prepare('SELECT sum(bytes) FROM log_batches').pluck().get());
    expect((await texts(db)).at(-1)).toBe('line 301');
  });

  it('lets little more go with a batch than that takes, until the agent is within lowered bounds', async () => {
    const { db } = temporaryDatabase();
    const before = await storeMany(db, 300);
    await db.logs.store(batch(301, [line(301)]), LOWERED);
    expect(await db.logs.bytesOf('a')).toBeLessThan(before);
    expect(await db.logs.bytesOf('a')).toBeGreaterThan(before * 0.98);
    for (let count = 302; count <= 600; count += 1) {
      await db.logs.store(batch(count, [line(count)]), LOWERED);
    }
    expect(await db.logs.bytesOf('a')).toBeLessThanOrEqual(LOWERED.agentBytes);
    expect((await texts(db)).at(-1)).toBe('line 600');
  });

  it('counts what is there when it is opened, and counts anew after a fault', async () => {
    const { db, client } = temporaryDatabase();
    await db.logs.store(batch(1, [line(1)]), BOUNDS);
    const bytes = await db.logs.bytesOf('a');
    client.exec(
      `CREATE TRIGGER refuse BEFORE INSERT ON log_epochs BEGIN SELECT RAISE(ABORT, 'x'); END`,
    );
    await expect(db.logs.store(batch(2, [line(2)]), BOUNDS)).rejects.toMatchObject({
      name: 'DatabaseError',
    });
    expect(await db.logs.bytesOf('a')).toBe(bytes);
    client.exec('DROP TRIGGER refuse');
    expect(await db.logs.store(batch(2, [line(2)]), BOUNDS)).toBe(1);
  });

  it('counts rightly what is left when the first thing it does is to forget an agent', async () => {
    const { db, client } = temporaryDatabase();
    await storeMany(db, 30);
    const connection = new Connection(client.name);
    onTestFinished(() => connection.close());
    const again = new LogRepository(connection);
    await again.forget('a');
    const bounds = { agentBytes: 1024 * 1024, overallBytes: 5_000 };
    for (let count = 1; count <= 60; count += 1) {
      await again.store(batch(count, [line(count)], { agentId: 'b' }), bounds);
    }
    expect(await again.bytesOf('b')).toBeLessThanOrEqual(bounds.overallBytes);
  });

  it('remembers only so many containers of an agent, with both their outputs', async () => {
    const { db, client } = temporaryDatabase();
    const store = (count: number, epoch: string) => {
      const containers = Array.from({ length: 1_000 }, (_, at) => ({
        id: `${count}-${at}`,
        name: '',
      }));
      const lines = containers.flatMap((_, container) => [
        line(count, { container }),
        line(count, { container, stream: 'stderr' }),
      ]);
      return db.logs.store(batch(count, lines, { containers, epoch }), BOUNDS);
    };
    for (let count = 1; count <= 2; count += 1) expect(await store(count, 'e1')).toBe(2_000);
    for (let count = 1; count <= 2; count += 1) expect(await store(count, 'e2')).toBe(0);
    await store(3, 'e2');
    expect(client.prepare('SELECT count(*) FROM log_positions').pluck().get()).toBe(4_000);
  });

  it('forgets an agent in steps, between which others have their turn', async () => {
    const { db } = temporaryDatabase();
    const before = await storeMany(db, 300);
    slowClock();
    const forgotten = db.logs.forget('a');
    for (let turn = 1; turn <= 3; turn += 1) await setImmediate();
    const between = await db.logs.bytesOf('a');
    expect(between).toBeLessThan(before);
    expect(between).toBeGreaterThan(0);
    await forgotten;
    expect(await texts(db)).toEqual([]);
  });

  it('forgets all of an agent', async () => {
    const { db } = temporaryDatabase();
    await db.logs.store(batch(1, [line(1)]), BOUNDS);
    await db.logs.store(batch(1, [line(2)], { agentId: 'b' }), BOUNDS);
    await db.logs.forget('a');
    expect(await texts(db)).toEqual(['line 2']);
    expect(await db.logs.bytesOf('a')).toBe(0);
    expect(await db.logs.store(batch(1, [line(1)]), BOUNDS)).toBe(1);
  });
});
