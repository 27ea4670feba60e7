import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { startScript } from '../../test/support/child-script.ts';
import { Started } from '../../test/support/processes.ts';
import { canMount, SmallDisk } from '../../test/support/small-disk.ts';
import {
  MIGRATIONS_DIR,
  openHandle,
  temporaryDirectory,
} from '../../test/support/temporary-database.ts';
import { prepareDataDir } from '../data-dir.ts';
import { databaseFile } from '../database-file.ts';
import { openDatabase } from '../db/database.ts';
import { acquireOwnerLock } from '../db/owner-lock.ts';
import { AccessTokens, addToken, listTokens } from '../mcp/access-tokens.ts';
import { bearerToken, tokenHash } from '../mcp/bearer-token.ts';
import { backup } from './backup.ts';
import { restore } from './restore.ts';

const urlOf = (file: string) => JSON.stringify(new URL(file, import.meta.url).href);
const failure = { name: 'Error', exitCode: 1 };
const started = new Started();
afterEach(() => started[Symbol.asyncDispose]());

/** A data directory whose database, token and named token say `name`. */
async function dataDirectory(name: string, dataDir = temporaryDirectory()): Promise<string> {
  using db = await openDatabase({ file: databaseFile(dataDir), migrationsDir: MIGRATIONS_DIR });
  await db.settings.set({ name }, 1);
  writeFileSync(join(dataDir, 'token'), name);
  await addToken(dataDir, name, 'read');
  return dataDir;
}

async function backupOf(name: string): Promise<string> {
  const file = join(temporaryDirectory(), 'b.tar');
  await backup(await dataDirectory(name), file);
  return file;
}

/** What the three parts of a data directory say. */
async function contentOf(dataDir: string): Promise<string[]> {
  using db = await openDatabase({ file: databaseFile(dataDir), migrationsDir: MIGRATIONS_DIR });
  const tokens = await listTokens(dataDir);
  const settings = await db.settings.all();
  return [String(settings['name']), await bearerToken(dataDir), ...tokens.map(({ name }) => name)];
}

describe('a restore', () => {
  it('into an empty directory brings back database, tokens and certificate', async () => {
    const original = await dataDirectory('old');
    const token = await addToken(original, 'ci', 'operate');
    mkdirSync(join(original, 'tls'));
    writeFileSync(join(original, 'tls', 'key.pem'), 'key');
    const file = join(temporaryDirectory(), 'b.tar');
    await backup(original, file);
    const dataDir = join(temporaryDirectory(), 'made', 'anew');
    const summary = await restore(dataDir, file, { replace: false });
    expect(summary).toMatchObject({
      createdAt: expect.stringMatching(/Z$/),
      movedAside: [],
      advice: expect.arrayContaining([expect.stringContaining('install_agent')]),
    });
    expect(await contentOf(dataDir)).toEqual(['old', 'old', 'ci', 'old']);
    expect(new AccessTokens(dataDir, tokenHash('another')).match(`Bearer ${token}`)?.actor).toBe(
      'token:ci',
    );
    expect(readFileSync(join(dataDir, 'tls', 'key.pem'), 'utf8')).toBe('key');
    for (const name of ['tomo.db', 'token', 'tls/key.pem', 'tokens/ci.json']) {
      expect(statSync(join(dataDir, name)).mode & 0o777).toBe(0o600);
    }
    expect(readdirSync(dataDir).filter((name) => name.startsWith('restore'))).toEqual([]);
  });

  it('over a database is refused unless it may be replaced', async () => {
    const file = await backupOf('old');
    const dataDir = await dataDirectory('new');
    const before = readdirSync(dataDir);
    await expect(restore(dataDir, file, { replace: false })).rejects.toMatchObject(failure);
    expect(await contentOf(dataDir)).toEqual(['new', 'new', 'new']);
    expect(readdirSync(dataDir)).toEqual(expect.arrayContaining(before));
  });

  it('moves what is there aside, the log of the database with it', async () => {
    const file = await backupOf('old');
    const dataDir = await dataDirectory('new');
    mkdirSync(join(dataDir, 'tls'));
    // As a process leaves it that was killed: what was written last is in the log alone.
    const { db } = openHandle(databaseFile(dataDir));
    await db.settings.set({ name: 'newest' }, 2);
    const { movedAside } = await restore(dataDir, file, { replace: true });
    expect(
      movedAside.map((path) => path.slice(dataDir.length + 1).replace(/\d{8}T\d+Z/, 'T')),
    ).toEqual([
      'tomo.db.before-restore-T-wal',
      'tomo.db.before-restore-T-shm',
      'tomo.db.before-restore-T',
      'token.before-restore-T',
      'tokens.before-restore-T',
      'tls.before-restore-T',
    ]);
    expect(await contentOf(dataDir)).toEqual(['old', 'old', 'old']);
    expect(existsSync(join(dataDir, 'tls'))).toBe(false);
    const aside = openHandle(String(movedAside[2]));
    expect(await aside.db.settings.all()).toMatchObject({ name: 'newest' });
  });

  it('is refused while a process owns the directory', async () => {
    const file = await backupOf('old');
    const dataDir = await dataDirectory('new');
    using lock = acquireOwnerLock(dataDir);
    expect(lock).toBeDefined();
    await expect(restore(dataDir, file, { replace: true })).rejects.toMatchObject(failure);
    expect(await contentOf(dataDir)).toEqual(['new', 'new', 'new']);
  });

  it('removes what a restore left that did not get far', async () => {
    const file = await backupOf('old');
    const dataDir = temporaryDirectory();
    mkdirSync(join(dataDir, 'restore.unfinished', 'tokens'), { recursive: true });
    writeFileSync(join(dataDir, 'restore.unfinished', 'tomo.db'), 'half');
    await restore(dataDir, file, { replace: false });
    expect(await contentOf(dataDir)).toEqual(['old', 'old', 'old']);
  });

  it('into a directory that cannot be had is refused', async () => {
    const file = await backupOf('old');
    const inTheWay = join(temporaryDirectory(), 'file');
    writeFileSync(inTheWay, '');
    await expect(restore(inTheWay, file, { replace: false })).rejects.toMatchObject(failure);
    const lockless = temporaryDirectory();
    mkdirSync(join(lockless, 'owner.lock'));
    await expect(restore(lockless, file, { replace: false })).rejects.toMatchObject(failure);
  });

  it.skipIf(canMount === undefined)('that does not fit changes nothing', async () => {
    const file = await backupOf('old');
    const disk = await SmallDisk.mount(started, 1);
    const dataDir = await dataDirectory('new', disk.path);
    const { bavail, bsize } = await statfs(dataDir);
    writeFileSync(join(dataDir, 'ballast'), Buffer.alloc(bavail * bsize - 64 * 1024));
    await expect(restore(dataDir, file, { replace: true })).rejects.toMatchObject(failure);
    rmSync(join(dataDir, 'ballast'));
    expect(await contentOf(dataDir)).toEqual(['new', 'new', 'new']);
    expect(existsSync(join(dataDir, 'restore.unfinished'))).toBe(false);
  });
});

const RENAMES_MAX_COUNT = 30;
/** Restores, and is killed, or refused, instead of renaming for the nth time. */
const CUT_OFF = `
  import fs from 'node:fs';
  import { syncBuiltinESMExports } from 'node:module';
  const [dataDir, file, nth, how] = process.argv.slice(1);
  const { renameSync } = fs;
  let count = 0;
  fs.renameSync = (from, to) => {
    count += 1;
    if (count !== Number(nth)) renameSync(from, to);
    else if (how === 'killed') process.kill(process.pid, 'SIGKILL');
    else throw Object.assign(new Error('EROFS'), { code: 'EROFS', syscall: 'rename' });
  };
  syncBuiltinESMExports();
  const { restore } = await import(${urlOf('./restore.ts')});
  const ended = restore(dataDir, file, { replace: true });
  console.log(await ended.then(() => 'done', (error) => 'exit ' + error.exitCode));
`;

describe('a restore that is cut off', () => {
  it('is whole or not there at all when the directory is used next, whatever the moment', async () => {
    const file = await backupOf('old');
    const outcomes: string[][] = [];
    for (let nth = 1; nth < RENAMES_MAX_COUNT; nth += 1) {
      const dataDir = await dataDirectory('new');
      const restoring = startScript(CUT_OFF, [dataDir, file, String(nth), 'killed']);
      const done = await restoring.nextLine().catch(() => undefined);
      prepareDataDir(dataDir);
      outcomes.push(await contentOf(dataDir));
      expect(existsSync(join(dataDir, 'restore.ready'))).toBe(false);
      if (done !== undefined) break;
    }
    const [first, ...later] = outcomes;
    expect(first).toEqual(['new', 'new', 'new']);
    expect(later.length).toBeGreaterThan(5);
    expect(later.length).toBeLessThan(RENAMES_MAX_COUNT - 2);
    expect(new Set(later.map(String))).toEqual(new Set(['old,old,old']));
  });

  it('because the disk refuses is said, and as whole', async () => {
    const file = await backupOf('old');
    for (const [nth, content] of [
      ['1', 'new'],
      ['2', 'old'],
      ['5', 'old'],
    ] as const) {
      const dataDir = await dataDirectory('new');
      const restoring = startScript(CUT_OFF, [dataDir, file, nth, 'refused']);
      expect(await restoring.nextLine()).toBe('exit 1');
      expect(existsSync(join(dataDir, 'restore.unfinished'))).toBe(false);
      prepareDataDir(dataDir);
      expect(await contentOf(dataDir)).toEqual([content, content, content]);
    }
  });

  it('is not touched by another process while it is under way', async () => {
    const dataDir = temporaryDirectory();
    mkdirSync(join(dataDir, 'restore.ready'));
    using lock = acquireOwnerLock(dataDir);
    expect(lock).toBeDefined();
    expect(() => prepareDataDir(dataDir)).toThrow(expect.objectContaining(failure));
  });

  it('is said to be in the way when it cannot be finished', () => {
    const dataDir = temporaryDirectory();
    mkdirSync(join(dataDir, 'restore.ready'));
    expect(() => prepareDataDir(dataDir)).toThrow(expect.objectContaining(failure));
  });
});
