import { closeSync, openSync, renameSync, rmSync } from 'node:fs';
import type { Database } from 'better-sqlite3';
import { type MigrationMeta, readMigrationFiles } from 'drizzle-orm/migrator';
import { z } from 'zod';
import { DatabaseError, toDatabaseError } from './errors.ts';

/**
 * Brings the database up to the newest of the migrations that drizzle-kit generated into
 * `migrationsDir`, all of them in one transaction. A database that holds anything is copied to
 * `FILE.vN.backup` first, N being the number of migrations it has. Throws DatabaseError, `newer` if
 * the database has a migration that the directory has not.
 */
export function migrate(client: Database, migrationsDir: string): void {
  try {
    const known = readMigrationFiles({ migrationsFolder: migrationsDir });
    if (pendingMigrations(client, known).length === 0) return;
    if (hasTables(client)) backUp(client);
    withoutForeignKeys(client, () => applyPending(client, known));
  } catch (error) {
    throw toDatabaseError(error);
  }
}

/**
 * Throws DatabaseError if `migrate` could not take the database on: `corrupt` if this program never
 * migrated it, `newer` as there.
 */
export function refuseForeign(client: Database, migrationsDir: string): void {
  const known = readMigrationFiles({ migrationsFolder: migrationsDir });
  if (pendingMigrations(client, known).length < known.length) return;
  throw new DatabaseError('corrupt', `${client.name} is not a database of this program.`);
}

// The table of drizzle's own migrator, so that its tools understand the file.
const CREATE_MIGRATIONS = `CREATE TABLE IF NOT EXISTS __drizzle_migrations (
  id INTEGER PRIMARY KEY, hash text NOT NULL, created_at numeric)`;
const INSERT_MIGRATION = 'INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)';

const appliedSchema = z.array(z.number());
const countSchema = z.number();

/**
 * Migrations are told apart by their time stamp and not by their hash, which a checkout that converts
 * line ends would change.
 */
function pendingMigrations(client: Database, known: MigrationMeta[]): MigrationMeta[] {
  const applied = appliedMigrations(client);
  const unknown = applied.filter((at) => !known.some((migration) => migration.folderMillis === at));
  if (unknown.length > 0) {
    throw new DatabaseError(
      'newer',
      `${client.name} was written by a newer version of this program. Update the program, or use another data directory.`,
    );
  }
  return known.filter((migration) => !applied.includes(migration.folderMillis));
}

function appliedMigrations(client: Database): number[] {
  if (countTables(client, "name = '__drizzle_migrations'") === 0) return [];
  const applied = client.prepare('SELECT created_at FROM __drizzle_migrations').pluck().all();
  return appliedSchema.parse(applied);
}

function hasTables(client: Database): boolean {
  return countTables(client, 'true') > 0;
}

function countTables(client: Database, where: string): number {
  return countSchema.parse(
    client.prepare(`SELECT count(*) FROM sqlite_master WHERE ${where}`).pluck().get(),
  );
}

/** Written under another name and renamed, so that a failure leaves an earlier backup as it was. */
function backUp(client: Database): void {
  const backup = `${client.name}.v${appliedMigrations(client).length}.backup`;
  const unfinished = `${backup}.unfinished`;
  rmSync(unfinished, { force: true });
  // VACUUM INTO writes into an empty file, but makes a new one readable by everyone.
  closeSync(openSync(unfinished, 'wx', 0o600));
  try {
    client.prepare('VACUUM INTO ?').run(unfinished);
    renameSync(unfinished, backup);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}

/**
 * Inside a transaction the pragma is ignored, and the DROP TABLE of a table rebuild would then delete
 * every row that refers to it.
 */
function withoutForeignKeys(client: Database, work: () => void): void {
  client.pragma('foreign_keys = OFF');
  try {
    client.transaction(work).immediate();
  } finally {
    client.pragma('foreign_keys = ON');
  }
}

function applyPending(client: Database, known: MigrationMeta[]): void {
  client.exec(CREATE_MIGRATIONS);
  const insert = client.prepare(INSERT_MIGRATION);
  // Asked again under the write lock: another process may have migrated meanwhile.
  for (const migration of pendingMigrations(client, known)) {
    for (const statement of migration.sql) client.exec(statement);
    insert.run(migration.hash, migration.folderMillis);
  }
  const violations = z.array(z.unknown()).parse(client.pragma('foreign_key_check'));
  if (violations.length > 0) {
    throw new DatabaseError(
      'other',
      `A migration of ${client.name} would leave ${violations.length} rows that refer to nothing; it was undone.`,
    );
  }
}
