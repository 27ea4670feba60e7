import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { startScript } from '../../test/support/child-script.ts';
import { Started } from '../../test/support/processes.ts';
import { canMount, SmallDisk } from '../../test/support/small-disk.ts';
import { openHandle, temporaryDirectory } from '../../test/support/temporary-database.ts';
import { databaseFile } from '../database-file.ts';
import { addToken } from '../mcp/access-tokens.ts';
import { bearerToken } from '../mcp/bearer-token.ts';
import { backup } from './backup.ts';
import { restore } from './restore.ts';

const urlOf = (file: string) => JSON.stringify(new URL(file, import.meta.url).href);

/** Writes the same number under two keys in one transaction, over and over. */
const WRITER = `
  import { openDatabase } from ${urlOf('../db/database.ts')};
  import { databaseFile, migrationsDir } from ${urlOf('../database-file.ts')};
  import { acquireOwnerLock } from ${urlOf('../db/owner-lock.ts')};
  const dataDir = process.argv[1];
  const lock = acquireOwnerLock(dataDir);
  const db = await openDatabase({ file: databaseFile(dataDir), migrationsDir: migrationsDir() });
  for (let n = 1; ; n += 1) {
    await db.settings.set({ a: String(n), b: String(n) }, n);
    if (n % 50 === 0) { console.log(n); await new Promise((resolve) => setImmediate(resolve)); }
  }
`;

const failure = { name: 'Error', exitCode: 1 };
const started = new Started();
afterEach(() => started[Symbol.asyncDispose]());

async function dataDirectory(): Promise<string> {
  const dataDir = temporaryDirectory();
  await openHandle(databaseFile(dataDir)).db.settings.set({ agent_health_interval: '77' }, 1);
  return dataDir;
}

describe('a backup', () => {
  it('holds database, tokens and certificate in one file for its owner alone', async () => {
    const dataDir = await dataDirectory();
    await bearerToken(dataDir);
    await addToken(dataDir, 'ci', 'read');
    mkdirSync(join(dataDir, 'tls'));
    for (const name of ['cert.pem', 'key.pem']) writeFileSync(join(dataDir, 'tls', name), name);
    mkdirSync(join(dataDir, 'local-agent'));
    writeFileSync(join(dataDir, 'tokens', 'notes.txt'), 'no token');
    const file = join(temporaryDirectory(), 'b.tar');
    const summary = await backup(dataDir, file);
    expect(summary).toEqual({
      file,
      bytes: statSync(file).size,
      members: ['tomo.db', 'token', 'tokens/ci.json', 'tls/cert.pem', 'tls/key.pem'],
    });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(dataDir).filter((name) => name.includes('snapshot'))).toEqual([]);
  });

  it('taken while another process owns the directory and writes is of one moment', async () => {
    const dataDir = temporaryDirectory();
    const writer = startScript(WRITER, [dataDir]);
    for (let round = 0; round < 5; round += 1) {
      const before = Number(await writer.nextLine());
      const file = join(temporaryDirectory(), 'b.tar');
      await backup(dataDir, file);
      const restored = temporaryDirectory();
      await restore(restored, file, { replace: false });
      const { a, b } = await openHandle(databaseFile(restored)).db.settings.all();
      expect(a).toBe(b);
      expect(Number(a)).toBeGreaterThanOrEqual(before);
    }
  });

  it('overwrites no file', async () => {
    const dataDir = await dataDirectory();
    const file = join(temporaryDirectory(), 'b.tar');
    writeFileSync(file, 'precious');
    await expect(backup(dataDir, file)).rejects.toMatchObject(failure);
    expect(readFileSync(file, 'utf8')).toBe('precious');
    await expect(backup(dataDir, join(file, 'b.tar'))).rejects.toMatchObject(failure);
  });

  it('is refused where there is no database, and leaves nothing', async () => {
    const dataDir = temporaryDirectory();
    await expect(backup(dataDir, join(dataDir, 'b.tar'))).rejects.toMatchObject(failure);
    expect(readdirSync(dataDir)).toEqual([]);
  });

  it('of a damaged database is refused, and leaves nothing', async () => {
    const dataDir = temporaryDirectory();
    writeFileSync(databaseFile(dataDir), 'no database at all'.repeat(100));
    await expect(backup(dataDir, join(dataDir, 'b.tar'))).rejects.toMatchObject(failure);
    expect(readdirSync(dataDir)).toEqual(['tomo.db']);
  });

  it('passes over what is no file, and refuses one that cannot be Tomo’s', async () => {
    const dataDir = await dataDirectory();
    mkdirSync(join(dataDir, 'tls', 'dir'), { recursive: true });
    symlinkSync('nowhere', join(dataDir, 'tls', 'gone'));
    const file = join(dataDir, 'b.tar');
    expect((await backup(dataDir, file)).members).toEqual(['tomo.db']);
    writeFileSync(join(dataDir, 'tls', 'huge'), Buffer.alloc(1024 * 1024 + 1));
    const second = join(dataDir, 'c.tar');
    await expect(backup(dataDir, second)).rejects.toMatchObject(failure);
    expect(existsSync(second)).toBe(false);
  });

  it('says so when what belongs to it cannot be read', async () => {
    const dataDir = await dataDirectory();
    writeFileSync(join(dataDir, 'tokens'), 'a file in the way');
    const file = join(dataDir, 'b.tar');
    await expect(backup(dataDir, file)).rejects.toMatchObject(failure);
    expect(existsSync(file)).toBe(false);
  });

  it.skipIf(canMount === undefined)('that does not fit leaves no file', async () => {
    const dataDir = await dataDirectory();
    const disk = await SmallDisk.mount(started, 1);
    writeFileSync(join(disk.path, 'ballast'), Buffer.alloc(980_000));
    await expect(backup(dataDir, join(disk.path, 'b.tar'))).rejects.toMatchObject(failure);
    expect(readdirSync(disk.path)).toEqual(['ballast']);
    expect(readdirSync(dataDir).filter((name) => name.includes('snapshot'))).toEqual([]);
  });
});
