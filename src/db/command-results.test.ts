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

async function begin(db: TomoDatabase, ...ids: string[]): Promise<void> {
  for (const id of ids) {
    await db.commands.begin({
      id,
      serverId: 'web-1',
      agentId: 'a1',
      actor: 'http',
      origin: null,
      instanceId: null,
      method: 'system.exec',
      params: {},
      startedAt: 1_000,
    });
  }
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
    expect(await db.results.find('c1')).toBe('{"a":"ü"}');
    expect(await db.results.find('c2')).toBe('[2]');
    expect(await db.results.find('c3')).toBeUndefined();
    expect(await db.commands.find('c1')).toMatchObject({ status: 'succeeded' });
    expect(await db.commands.find('c9')).toBeUndefined();
  });

  it('is the one that ended it: a later answer changes nothing', async () => {
    const { db } = temporaryDatabase();
    await begin(db, 'c1');
    await db.commands.finish('c1', { ...ENDED, result: '1' });
    await db.commands.finish('c1', { ...ENDED, result: '2' });
    expect(await db.commands.finishDetached('c1', { ...ENDED, result: '3' })).toBe(false);
    expect(await db.results.find('c1')).toBe('1');
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
    expect(await db.results.find('c1')).toBe('1');
  });

  it('is forgotten after a time; the row stays', async () => {
    const { db } = temporaryDatabase();
    await begin(db, 'c1');
    await db.commands.finish('c1', { ...ENDED, result: '1' });
    expect(await db.results.deleteBefore(Date.now() - 60_000)).toBe(0);
    expect(await db.results.deleteBefore(Date.now() + 1)).toBe(1);
    expect(await db.results.find('c1')).toBeUndefined();
    expect(await db.commands.find('c1')).toMatchObject({ status: 'succeeded' });
  });
});

describe('results past their limit', () => {
  const text = (bytes: number) => JSON.stringify('x'.repeat(bytes - 2));

  it('push out the oldest, and only as many as they must', async () => {
    const { db } = await limitedTo(1_000);
    using _closed = db;
    const ids = ['c1', 'c2', 'c3', 'c4'];
    await begin(db, ...ids);
    for (const id of ids) await db.commands.finish(id, { ...ENDED, result: text(300) });
    const kept = await Promise.all(ids.map((id) => db.results.find(id)));
    // Two of 300 are within seven eighths of 1,000 bytes, three are not.
    expect(kept.map((result) => result !== undefined)).toEqual([false, false, true, true]);
  });

  it('are counted over a restart', async () => {
    const { db, file } = await limitedTo(1_000);
    await begin(db, 'c1', 'c2');
    await db.commands.finish('c1', { ...ENDED, result: text(900) });
    db.close();
    const again = await openDatabase({
      file,
      migrationsDir: MIGRATIONS_DIR,
      resultsMaxBytes: 1_000,
    });
    using _closed = again;
    await again.commands.finish('c2', { ...ENDED, result: text(200) });
    expect(await again.results.find('c1')).toBeUndefined();
    expect(await again.results.find('c2')).toHaveLength(200);
  });

  it('do not cost others their place when they could not be written', async () => {
    const { db, file } = await limitedTo(1_000);
    using _closed = db;
    await begin(db, 'c1', 'c2', 'c3');
    await db.commands.finish('c1', { ...ENDED, result: text(600) });
    const { client } = openHandle(file);
    client.exec(
      `CREATE TRIGGER refuse AFTER INSERT ON command_results WHEN new.id = 'c2'
       BEGIN SELECT raise(ABORT, 'no'); END`,
    );
    const refused = db.commands.finish('c2', { ...ENDED, result: text(800) });
    await expect(refused).rejects.toMatchObject({ name: 'DatabaseError' });
    await db.commands.finish('c3', { ...ENDED, result: text(200) });
    expect(await db.results.find('c1')).toHaveLength(600);
  });
});
