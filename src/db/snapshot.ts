import { closeSync, openSync, rmSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import { DatabaseError, toDatabaseError } from './errors.ts';
import { refuseForeign } from './migrations.ts';

/** How long a copy waits for another process's lock. */
const BUSY_TIMEOUT_MS = 30_000;

/**
 * Copies a database into a new file as it stands at one moment, also while another process writes to
 * it. Throws DatabaseError.
 */
export function snapshot(file: string, target: string): void {
  try {
    // VACUUM INTO writes into an empty file, but makes a new one readable by everyone.
    closeSync(openSync(target, 'wx', 0o600));
    try {
      copyInto(file, target);
    } catch (error) {
      rmSync(target, { force: true });
      throw error;
    }
  } catch (error) {
    throw toDatabaseError(error);
  }
}

function copyInto(file: string, target: string): void {
  const client = openReadonly(file);
  try {
    client.prepare('VACUUM INTO ?').run(target);
  } finally {
    client.close();
  }
}

/**
 * Reads a database through. Throws DatabaseError: `corrupt` if it is damaged or none of this program,
 * `newer` if it has a migration that `migrationsDir` has not.
 */
export function verifyDatabase(file: string, migrationsDir: string): void {
  try {
    const client = openReadonly(file);
    try {
      const found = client.pragma('integrity_check(1)', { simple: true });
      if (found !== 'ok')
        throw new DatabaseError('corrupt', `The database is damaged: ${String(found)}`);
      refuseForeign(client, migrationsDir);
    } finally {
      client.close();
    }
  } catch (error) {
    throw toDatabaseError(error);
  }
}

function openReadonly(file: string): Sqlite.Database {
  return new Sqlite(file, { readonly: true, fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
}
