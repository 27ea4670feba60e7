import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type Header, pack } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import {
  type DatabaseHandle,
  openHandle,
  temporaryDirectory,
} from '../../test/support/temporary-database.ts';
import { databaseFile } from '../database-file.ts';
import { backup } from './backup.ts';
import { restore } from './restore.ts';

const failure = { name: 'Error', exitCode: 1 };

type Member = Partial<Header> & { name: string; content?: Buffer | string };

async function archiveOf(members: readonly Member[]): Promise<string> {
  const tar = pack();
  for (const { content = '', ...header } of members) {
    tar.entry({ ...header, ...(header.type === undefined ? {} : { size: 0 }) }, content);
  }
  tar.finalize();
  const file = join(temporaryDirectory(), 'b.tar');
  writeFileSync(file, await buffer(tar));
  return file;
}

function manifestOf(members: readonly Member[], fields: object = {}): Member {
  const listed = members.map(({ name, content = '' }) => ({
    name,
    bytes: Buffer.byteLength(content),
    sha256: createHash('sha256').update(content).digest('hex'),
  }));
  const created_at = new Date().toISOString();
  const manifest = { format: 1, version: '1', created_at, members: listed, ...fields };
  return { name: 'manifest.json', content: JSON.stringify(manifest) };
}

async function database(): Promise<Member> {
  const file = databaseFile(temporaryDirectory());
  const target = `${file}.copy`;
  openHandle(file).client.prepare('VACUUM INTO ?').run(target);
  return { name: 'tomo.db', content: readFileSync(target) };
}

/** Nothing of it may be anywhere but in a directory that is gone again. */
async function expectRefused(file: string): Promise<Error> {
  const parent = temporaryDirectory();
  const dataDir = join(parent, 'data');
  const refusal: unknown = await restore(dataDir, file, { replace: false }).catch((error) => error);
  expect(refusal).toMatchObject(failure);
  const left = readdirSync(parent, { recursive: true, encoding: 'utf8' });
  expect(left.filter((name) => !/^data([\\/]owner\.lock.*)?$/.test(name))).toEqual([]);
  return refusal as Error;
}

describe('an archive that is no sound backup is refused, and nothing of it kept:', () => {
  it('a member that its manifest does not name, wherever it leads', async () => {
    const db = await database();
    for (const name of [
      '../evil',
      '/tmp/tomo-evil',
      'tokens/../../evil',
      'tokens/x.json',
      'local-agent/agent.json',
    ]) {
      const file = await archiveOf([manifestOf([db]), db, { name, content: 'x' }]);
      expect((await expectRefused(file)).message).toContain('do not trust it');
    }
  });

  it('a manifest that names what no backup holds', async () => {
    const db = await database();
    const names = [
      '../evil',
      '/etc/passwd',
      'tokens/../../evil',
      'tokens/a/b.json',
      'tls/.hidden',
      'tokens/x',
      'owner.lock',
      'restore.ready',
      'manifest.json',
      'tls',
      'toString/x',
      '__proto__/x',
    ];
    for (const name of names) {
      const evil = { name, content: 'x' };
      await expectRefused(await archiveOf([manifestOf([db, evil]), db, evil]));
    }
  });

  it('a link in place of a file', async () => {
    const db = await database();
    for (const type of ['symlink', 'link', 'directory', 'fifo'] as const) {
      const link = { name: 'token', type, linkname: '/etc/passwd' };
      await expectRefused(await archiveOf([manifestOf([db, { name: 'token' }]), db, link]));
    }
  });

  it('a file that is there twice, too few or not as the manifest says', async () => {
    const db = await database();
    const token = { name: 'token', content: 'abc' };
    const manifest = manifestOf([db, token]);
    await expectRefused(await archiveOf([manifest, db, token, token]));
    await expectRefused(await archiveOf([manifestOf([db, token, token]), db, token]));
    await expectRefused(await archiveOf([manifest, db]));
    await expectRefused(await archiveOf([manifest, db, { ...token, content: 'abd' }]));
    await expectRefused(await archiveOf([manifest, db, { ...token, content: 'abcd' }]));
    await expectRefused(await archiveOf([manifestOf([token]), token]));
    await expectRefused(await archiveOf([db, manifest, token]));
  });

  it('a file of a size that none of them has', async () => {
    const db = await database();
    const huge = { name: 'tls/key.pem', content: Buffer.alloc(1024 * 1024 + 1) };
    await expectRefused(await archiveOf([manifestOf([db, huge]), db, huge]));
  });

  it('no archive, an empty one, a directory, nothing', async () => {
    const garbage = join(temporaryDirectory(), 'garbage');
    writeFileSync(garbage, 'x'.repeat(5_000));
    expect((await expectRefused(garbage)).message).toContain(
      'is not a backup that tomo backup made',
    );
    writeFileSync(garbage, '');
    await expectRefused(garbage);
    rmSync(garbage);
    await expectRefused(garbage);
    mkdirSync(garbage);
    await expectRefused(garbage);
    await expectRefused(await archiveOf([{ name: 'manifest.json', content: '{' }]));
  });

  it('no backup at all, before a data directory is made for it', async () => {
    const file = join(temporaryDirectory(), 'package.json');
    writeFileSync(file, '{}');
    const dataDir = join(temporaryDirectory(), 'data');
    await expect(restore(dataDir, file, { replace: false })).rejects.toMatchObject(failure);
    expect(existsSync(dataDir)).toBe(false);
  });

  it('a backup that is cut off anywhere', async () => {
    const dataDir = temporaryDirectory();
    openHandle(databaseFile(dataDir));
    const file = join(dataDir, 'b.tar');
    await backup(dataDir, file);
    const whole = readFileSync(file);
    const cut = join(temporaryDirectory(), 'cut.tar');
    for (const share of [0.01, 0.1, 0.5, 0.9, 0.98]) {
      writeFileSync(cut, whole.subarray(0, Math.floor(whole.byteLength * share)));
      await expectRefused(cut);
    }
  });

  it('a backup of a format to come', async () => {
    const db = await database();
    const file = await archiveOf([manifestOf([db], { format: 2 }), db]);
    expect((await expectRefused(file)).message).toContain('update');
  });

  it('a database of a newer program, of another one, or damaged', async () => {
    const client = (change: (db: DatabaseHandle['client']) => void): Member => {
      const path = databaseFile(temporaryDirectory());
      const source = openHandle(path);
      change(source.client);
      source.client.prepare('VACUUM INTO ?').run(`${path}.copy`);
      return { name: 'tomo.db', content: readFileSync(`${path}.copy`) };
    };
    const newer = client((db) =>
      db.exec("INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('x', 9999999999999)"),
    );
    expect((await expectRefused(await archiveOf([manifestOf([newer]), newer]))).message).toContain(
      'newer Tomo',
    );
    const foreign = client((db) => db.exec('DROP TABLE __drizzle_migrations'));
    await expectRefused(await archiveOf([manifestOf([foreign]), foreign]));
    const sound = Buffer.from((await database()).content ?? '');
    const damaged = { name: 'tomo.db', content: Buffer.from(sound).fill(0xff, 4_096, 12_000) };
    await expectRefused(await archiveOf([manifestOf([damaged]), damaged]));
    const nothing = { name: 'tomo.db', content: 'none' };
    await expectRefused(await archiveOf([manifestOf([nothing]), nothing]));
  });
});
