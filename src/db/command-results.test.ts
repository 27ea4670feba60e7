import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  MIGRATIONS_DIR,
  openHandle,
  temporaryDatabase,
  temporaryDirectory,
} from '../../test/support/temporary-database.ts';
import { openDatabase, type TomoDatabase } from './database.ts';

const ENDED = { status: 'succeeded', durationMs: 1 } as const;

/** What a result counts for beside its text. */
const ROW_BYTES = 1_024;

const OWNER = { actor: 'http', agentId: 'a1' };

async function begin(db: TomoDatabase, ...ids: string[]): Promise<void> {
  await beginOf(db, OWNER, ...ids);
}

async function beginOf(db: TomoDatabase, owner: typeof OWNER, ...ids: string[]): Promise<void> {
  for (const id of ids) {
    await db.commands.begin({
      id,
      serverId: 'web-1',
      ...owner,
      origin: null,
      instanceId: null,
      method: 'system.exec',
      params: {},
      startedAt: 1_000,
    });
  }
}

async function textOf(db: TomoDatabase, id: string): Promise<string | undefined> {
  return (await db.results.read(id))?.text;
}

/** A database that keeps at most so many bytes of results. */
async function limitedTo(resultsMaxBytes: number): Promise<{ db: TomoDatabase; file: string }> {
  const file = join(temporaryDirectory(), 'tomo.db');
  const db = await openDatabase({ file, migrationsDir: MIGRATIONS_DIR, resultsMaxBytes });
  return { db, file };
}

describe('the result of a command', () => {
  it('is kept with its end, whoever waited for it', async () => {
    const { db } = temporaryDatabase();
    await begin(db, 'c1', 'c2', 'c3');
    await db.commands.finish('c1', { ...ENDED, result: '{"a":"ü"}' });
    await db.commands.detach(['c2'], { code: 1_002, message: 'gone' }, 2_000);
    expect(await db.commands.finishDetached('c2', { ...ENDED, result: '[2]' })).toBe(true);
    await db.commands.finish('c3', ENDED);
    expect(await db.results.read('c1')).toEqual({ text: '{"a":"ü"}', chars: 9 });
    expect(await textOf(db, 'c2')).toBe('[2]');
    expect(await textOf(db, 'c3')).toBeUndefined();
    expect(await db.commands.find('c1')).toMatchObject({ status: 'succeeded' });
    expect(await db.commands.find('c9')).toBeUndefined();
  });

  it('is the one that ended it: a later answer changes nothing', async () => {
    const { db } = temporaryDatabase();
    await begin(db, 'c1');
    await db.commands.finish('c1', { ...ENDED, result: '1' });
    await db.commands.finish('c1', { ...ENDED, result: '2' });
    expect(await db.commands.finishDetached('c1', { ...ENDED, result: '3' })).toBe(false);
    expect(await textOf(db, 'c1')).toBe('1');
  });

  it('is kept together with the end of the row, or neither of them', async () => {
    const { db, client } = temporaryDatabase();
    await begin(db, 'c1');
    client.exec('ALTER TABLE command_results RENAME TO away');
    const finishing = db.commands.finish('c1', { ...ENDED, result: '1' });
    await expect(finishing).rejects.toMatchObject({ name: 'DatabaseError' });
    expect(await db.commands.find('c1')).toMatchObject({ status: 'running' });
    client.exec('ALTER TABLE away RENAME TO command_results');
    await db.commands.finish('c1', { ...ENDED, result: '1' });
    expect(await textOf(db, 'c1')).toBe('1');
  });

  it('is forgotten after a time; the row stays', async () => {
    const { db } = temporaryDatabase();
    await begin(db, 'c1');
    await db.commands.finish('c1', { ...ENDED, result: '1' });
    expect(await db.results.deleteBefore(Date.now() - 60_000)).toBe(0);
    expect(await db.results.deleteBefore(Date.now() + 1)).toBe(1);
    expect(await textOf(db, 'c1')).toBeUndefined();
    expect(await db.commands.find('c1')).toMatchObject({ status: 'succeeded' });
  });
});

describe('a stretch of a long result', () => {
  it('is the same as of the text, wherever it begins and ends', async () => {
    const { db } = temporaryDatabase();
    await begin(db, 'c1');
    const text = JSON.stringify(`${'😀'.repeat(30_000)}${'y'.repeat(90_000)}`);
    await db.commands.finish('c1', { ...ENDED, result: text });
    const places = [0, 1, 32_766, 32_767, 32_768, 65_534, 65_536, 100_000, text.length - 1];
    for (const from of places) {
      for (const to of [from + 1, from + 50_001, text.length, text.length + 9]) {
        const stretch = await db.results.read('c1', from, to);
        expect(stretch?.text === text.slice(from, to)).toBe(true);
        expect(stretch?.chars).toBe(text.length);
      }
    }
    expect(await db.results.read('c1', text.length, text.length + 9)).toMatchObject({ text: '' });
  });

  it('is read without the rest', async () => {
    const { db, client } = temporaryDatabase();
    await begin(db, 'c1');
    const result = JSON.stringify('x'.repeat(1_000_000));
    await db.commands.finish('c1', { ...ENDED, result });
    // What is not read is not missed.
    client.exec('DELETE FROM command_result_pieces WHERE at < 400000 OR at > 600000');
    const stretch = await db.results.read('c1', 450_000, 500_000);
    expect(stretch?.text).toBe('x'.repeat(50_000));
  });

  it('goes with the rest of it', async () => {
    const { db, client } = temporaryDatabase();
    await begin(db, 'c1');
    await db.commands.finish('c1', { ...ENDED, result: JSON.stringify('x'.repeat(100_000)) });
    const pieces = client.prepare('SELECT count(*) FROM command_result_pieces').pluck();
    expect(pieces.get()).toBe(4);
    await db.results.deleteBefore(Date.now() + 1);
    expect(pieces.get()).toBe(0);
  });
});

/** A result that counts for so many bytes. */
const sized = (bytes: number) => 'x'.repeat(bytes - ROW_BYTES);

describe('results past their limit', () => {
  const end = (db: TomoDatabase, id: string, bytes: number) =>
    db.commands.finish(id, { ...ENDED, result: sized(bytes) });
  const kept = async (db: TomoDatabase, ids: readonly string[]) => {
    const texts = await Promise.all(ids.map((id) => textOf(db, id)));
    return ids.filter((_, at) => texts[at] !== undefined);
  };

  it('push out the oldest, and only as many as they must', async () => {
    const { db } = await limitedTo(10_000);
    using _closed = db;
    const ids = ['c1', 'c2', 'c3', 'c4', 'c5'];
    await begin(db, ...ids);
    for (const id of ids) await end(db, id, 3_000);
    expect(await kept(db, ids)).toEqual(['c3', 'c4', 'c5']);
  });

  it('push out many small ones for a long one', async () => {
    const { db } = await limitedTo(300_000);
    using _closed = db;
    const ids = Array.from({ length: 200 }, (_, count) => `c${count}`);
    await begin(db, ...ids, 'long');
    for (const id of ids) await end(db, id, 1_500);
    await end(db, 'long', 200_000);
    expect(await kept(db, ids)).toEqual(ids.slice(134));
    expect(await textOf(db, 'long')).toHaveLength(200_000 - ROW_BYTES);
  });

  it('cost no other actor and no other agent theirs', async () => {
    const { db } = await limitedTo(20_000);
    using _closed = db;
    await beginOf(db, { actor: 'modest', agentId: 'a1' }, 'm1', 'm2');
    await beginOf(db, { actor: 'greedy', agentId: 'a2' }, 'quiet');
    const chatty = ['g1', 'g2', 'g3', 'g4', 'g5', 'g6'];
    await beginOf(db, { actor: 'greedy', agentId: 'a1' }, ...chatty);
    for (const id of ['m1', 'm2', 'quiet']) await end(db, id, 2_500);
    for (const id of chatty) await end(db, id, 4_000);
    expect(await kept(db, ['m1', 'm2', 'quiet', ...chatty])).toEqual([
      'm1',
      'm2',
      'quiet',
      'g4',
      'g5',
      'g6',
    ]);
  });

  it('are counted over a restart', async () => {
    const { db, file } = await limitedTo(10_000);
    await begin(db, 'c1', 'c2');
    await end(db, 'c1', 9_000);
    db.close();
    const again = await openDatabase({
      file,
      migrationsDir: MIGRATIONS_DIR,
      resultsMaxBytes: 10_000,
    });
    using _closed = again;
    await end(again, 'c2', 2_000);
    expect(await kept(again, ['c1', 'c2'])).toEqual(['c2']);
  });

  it('are counted without those that were forgotten', async () => {
    const { db } = await limitedTo(10_000);
    using _closed = db;
    await begin(db, 'c1', 'c2', 'c3');
    await end(db, 'c1', 9_000);
    expect(await db.results.deleteBefore(Date.now() + 1)).toBe(1);
    await end(db, 'c2', 5_000);
    await end(db, 'c3', 5_000);
    expect(await kept(db, ['c1', 'c2', 'c3'])).toEqual(['c2', 'c3']);
  });

  it('do not cost others their place when they could not be written', async () => {
    const { db, file } = await limitedTo(10_000);
    using _closed = db;
    await begin(db, 'c1', 'c2', 'c3');
    await end(db, 'c1', 6_000);
    const { client } = openHandle(file);
    client.exec(
      `CREATE TRIGGER refuse AFTER INSERT ON command_results WHEN new.command_id = 'c2'
       BEGIN SELECT raise(ABORT, 'no'); END`,
    );
    await expect(end(db, 'c2', 8_000)).rejects.toMatchObject({ name: 'DatabaseError' });
    await end(db, 'c3', 4_000);
    expect(await kept(db, ['c1', 'c2', 'c3'])).toEqual(['c1', 'c3']);
  });
});
