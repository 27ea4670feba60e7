import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { generateSQLiteDrizzleJson, generateSQLiteMigration } from 'drizzle-kit/api';
import { expect, it, onTestFinished } from 'vitest';
import {
  MIGRATIONS_DIR,
  temporaryDatabase,
  temporaryDirectory,
} from '../../test/support/temporary-database.ts';
import { Connection } from './connection.ts';
import { openDatabase } from './database.ts';
import * as logTables from './log-tables.ts';
import * as metricsTables from './metrics-tables.ts';
import { migrate } from './migrations.ts';
import * as schema from './schema.ts';

const FIRST = `CREATE TABLE parents (id INTEGER PRIMARY KEY);--> statement-breakpoint
CREATE TABLE children (id INTEGER PRIMARY KEY,
  parent_id INTEGER NOT NULL REFERENCES parents(id) ON DELETE CASCADE);--> statement-breakpoint
INSERT INTO parents VALUES (1);--> statement-breakpoint
INSERT INTO children VALUES (10, 1);`;

// The shape in which drizzle-kit writes a table rebuild.
const REBUILD = `PRAGMA foreign_keys=OFF;--> statement-breakpoint
CREATE TABLE __new_parents (id INTEGER PRIMARY KEY, name TEXT);--> statement-breakpoint
INSERT INTO __new_parents(id) SELECT id FROM parents;--> statement-breakpoint
DROP TABLE parents;--> statement-breakpoint
ALTER TABLE __new_parents RENAME TO parents;--> statement-breakpoint
PRAGMA foreign_keys=ON;`;

const dangling = expect.objectContaining({ name: 'DatabaseError', code: 'other' });

function setUp() {
  const root = temporaryDirectory();
  const file = join(root, 'tomo.db');
  const connection = new Connection(file);
  onTestFinished(() => connection.close());
  return { root, file, client: connection.client };
}

function migrations(root: string, ...texts: string[]): string {
  const directory = join(root, `migrations-${texts.length}`);
  mkdirSync(join(directory, 'meta'), { recursive: true });
  const entries = texts.map((text, idx) => {
    writeFileSync(join(directory, `${idx}.sql`), text);
    return { idx, version: '6', when: 1_000 + idx, tag: `${idx}`, breakpoints: true };
  });
  const journal = { version: '7', dialect: 'sqlite', entries };
  writeFileSync(join(directory, 'meta', '_journal.json'), JSON.stringify(journal));
  return directory;
}

const rows = (client: Sqlite.Database, text: string) => client.prepare(text).raw().all();

it('applies each migration once, in order', () => {
  const { root, client } = setUp();
  migrate(client, migrations(root, FIRST));
  migrate(client, migrations(root, FIRST));
  migrate(client, migrations(root, FIRST, 'INSERT INTO parents VALUES (2)'));
  expect(rows(client, 'SELECT id FROM parents')).toEqual([[1], [2]]);
});

it('keeps the rows that refer to a table which is rebuilt', () => {
  const { root, client } = setUp();
  migrate(client, migrations(root, FIRST));
  migrate(client, migrations(root, FIRST, REBUILD));
  expect(rows(client, 'SELECT id, parent_id FROM children')).toEqual([[10, 1]]);
  client.exec('DELETE FROM parents');
  expect(rows(client, 'SELECT * FROM children')).toEqual([]);
});

it('undoes all migrations when one leaves rows that refer to nothing', () => {
  const { root, client } = setUp();
  migrate(client, migrations(root, FIRST));
  const faulty = migrations(root, FIRST, 'CREATE TABLE other (id)', 'DELETE FROM parents');
  expect(() => migrate(client, faulty)).toThrow(dangling);
  expect(rows(client, 'SELECT id FROM parents')).toEqual([[1]]);
  expect(rows(client, "SELECT name FROM sqlite_master WHERE name = 'other'")).toEqual([]);
  expect(client.pragma('foreign_keys', { simple: true })).toBe(1);
  migrate(client, migrations(root, FIRST, 'CREATE TABLE other (id)'));
});

it('undoes all migrations when a statement fails', () => {
  const { root, client } = setUp();
  const faulty = migrations(root, FIRST, 'CREATE TABLE other (id)', 'not sql');
  expect(() => migrate(client, faulty)).toThrow(dangling);
  expect(rows(client, 'SELECT name FROM sqlite_master')).toEqual([]);
});

it('makes no backup of a new database, nor when there is nothing to apply', () => {
  const { root, client } = setUp();
  migrate(client, migrations(root, FIRST));
  migrate(client, migrations(root, FIRST));
  expect(readdirSync(root).filter((name) => name.includes('backup'))).toEqual([]);
});

it('copies the database beside the file before it changes it', () => {
  const { root, file, client } = setUp();
  migrate(client, migrations(root, FIRST));
  migrate(client, migrations(root, FIRST, 'DELETE FROM children'));
  expect(rows(client, 'SELECT id FROM children')).toEqual([]);
  const backup = new Sqlite(`${file}.v1.backup`, { fileMustExist: true });
  expect(rows(backup, 'SELECT id FROM children')).toEqual([[10]]);
  backup.close();
  expect(statSync(`${file}.v1.backup`).mode & 0o777).toBe(0o600);
});

it('replaces an earlier backup of the same version, finished or not', () => {
  const { root, file, client } = setUp();
  migrate(client, migrations(root, FIRST));
  writeFileSync(`${file}.v1.backup`, 'earlier');
  writeFileSync(`${file}.v1.backup.unfinished`, 'cut off');
  migrate(client, migrations(root, FIRST, 'SELECT 1'));
  expect(existsSync(`${file}.v1.backup.unfinished`)).toBe(false);
  const backup = new Sqlite(`${file}.v1.backup`);
  expect(rows(backup, 'SELECT id FROM children')).toEqual([[10]]);
  backup.close();
});

it('applies nothing when the backup cannot be made', () => {
  const { root, file, client } = setUp();
  migrate(client, migrations(root, FIRST));
  mkdirSync(join(`${file}.v1.backup`, 'in the way'), { recursive: true });
  expect(() => migrate(client, migrations(root, FIRST, 'DELETE FROM children'))).toThrow(
    expect.objectContaining({ code: 'unwritable' }),
  );
  expect(rows(client, 'SELECT id FROM children')).toEqual([[10]]);
  expect(existsSync(`${file}.v1.backup.unfinished`)).toBe(false);
});

it('refuses a database that has more migrations than the program, and leaves it alone', async () => {
  const { root, file, client } = setUp();
  migrate(client, migrations(root, FIRST, 'CREATE TABLE later (id)'));
  const opening = openDatabase({ file, migrationsDir: migrations(root, FIRST) });
  await expect(opening).rejects.toMatchObject({ name: 'DatabaseError', code: 'newer' });
  expect(rows(client, 'SELECT * FROM later')).toEqual([]);
  expect(readdirSync(root).filter((name) => name.includes('backup'))).toEqual([]);
});

it('refuses a database whose migrations are not those of the program', async () => {
  const { root, file, client } = setUp();
  migrate(client, migrations(root, FIRST));
  const opening = openDatabase({ file, migrationsDir: MIGRATIONS_DIR });
  await expect(opening).rejects.toMatchObject({ code: 'newer' });
});

it('throws other when the migrations are not there', async () => {
  const { root, file } = setUp();
  const opening = openDatabase({ file, migrationsDir: join(root, 'absent') });
  await expect(opening).rejects.toMatchObject({ name: 'DatabaseError', code: 'other' });
});

it('opens a database that is there, with what was written to it', async () => {
  const file = join(temporaryDirectory(), 'tomo.db');
  const options = { file, migrationsDir: MIGRATIONS_DIR };
  {
    using db = await openDatabase(options);
    await db.settings.set({ agent_health_interval: '90' }, 1);
  }
  using db = await openDatabase(options);
  expect(await db.settings.all()).toMatchObject({ agent_health_interval: '90' });
});

it('makes the indexes that the frequent queries need', () => {
  const { client } = temporaryDatabase();
  const plan = (text: string) => JSON.stringify(rows(client, `EXPLAIN QUERY PLAN ${text}`));
  const byToken = `SELECT id FROM agents
    WHERE token_hash = 'h' OR pending_token_hash = 'h' OR candidate_token_hash = 'h'
      OR revoked_token_hash = 'h'`;
  expect(plan(byToken)).not.toContain('SCAN');
  expect(plan("SELECT id FROM agents WHERE server_id = 's'")).not.toContain('SCAN');
  expect(plan("SELECT id FROM commands WHERE status = 'running'")).not.toContain('SCAN');
});

it('has migrations for everything in the schema', async () => {
  const meta = join(MIGRATIONS_DIR, 'meta');
  const newest = readdirSync(meta).findLast((name) => name.endsWith('_snapshot.json')) ?? '';
  const migrated = JSON.parse(readFileSync(join(meta, newest), 'utf8'));
  const current = await generateSQLiteDrizzleJson(
    { ...schema, ...logTables, ...metricsTables },
    migrated.id,
  );
  expect(await generateSQLiteMigration(migrated, current)).toEqual([]);
});
