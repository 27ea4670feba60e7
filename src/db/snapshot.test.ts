import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import {
  MIGRATIONS_DIR,
  openHandle,
  temporaryDirectory,
} from '../../test/support/temporary-database.ts';
import { snapshot, verifyDatabase } from './snapshot.ts';

const refusal = (code: string) => expect.objectContaining({ name: 'DatabaseError', code });

it('copies what was committed, also what is in the log alone, for its owner', async () => {
  const file = join(temporaryDirectory(), 'tomo.db');
  const { db, client } = openHandle(file);
  await db.settings.set({ a: '1' }, 1);
  client.exec("BEGIN IMMEDIATE; UPDATE settings SET value = '2' WHERE key = 'a'");
  const target = `${file}.copy`;
  snapshot(file, target);
  client.exec('ROLLBACK');
  expect(statSync(target).mode & 0o777).toBe(0o600);
  expect(() => verifyDatabase(target, MIGRATIONS_DIR)).not.toThrow();
  expect(await openHandle(target).db.settings.all()).toMatchObject({ a: '1' });
});

it('replaces no file, and leaves none behind when it fails', () => {
  const directory = temporaryDirectory();
  const target = join(directory, 'copy');
  const absent = join(directory, 'absent');
  expect(() => snapshot(absent, target)).toThrow(refusal('unwritable'));
  expect(existsSync(target)).toBe(false);
  expect(existsSync(absent)).toBe(false);
  writeFileSync(target, 'precious');
  expect(() => snapshot(openHandle(join(directory, 'tomo.db')).file, target)).toThrow(
    refusal('unwritable'),
  );
  expect(readFileSync(target, 'utf8')).toBe('precious');
});

it('finds a database whose pages are damaged', () => {
  const file = join(temporaryDirectory(), 'tomo.db');
  const copy = `${file}.copy`;
  openHandle(file).client.prepare('VACUUM INTO ?').run(copy);
  const bytes = readFileSync(copy);
  // The root page of a table: nothing that opening reads.
  writeFileSync(copy, bytes.fill(0xff, bytes.byteLength - 4_096));
  expect(() => verifyDatabase(copy, MIGRATIONS_DIR)).toThrow(refusal('corrupt'));
});
