import { closeSync, openSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import { type BetterSQLite3Database, drizzle } from 'drizzle-orm/better-sqlite3';
import { toDatabaseError } from './errors.ts';

/** How long a statement waits for another process's lock. It blocks the event loop meanwhile. */
const BUSY_TIMEOUT_MS = 1_000;

export type Orm = BetterSQLite3Database;

/**
 * One open SQLite file. Whatever goes wrong inside `run` and `transaction` is thrown as a
 * DatabaseError; both do their work before they return, so that calls never interleave.
 */
export class Connection {
  readonly client: Sqlite.Database;
  readonly orm: Orm;

  /** Opens `file`, made with mode 0600 if there is none. Throws DatabaseError. */
  constructor(file: string) {
    this.client = openClient(file);
    this.orm = drizzle(this.client);
  }

  /** A single statement, which is a transaction by itself. */
  async run<T>(work: () => T): Promise<T> {
    return translated(work);
  }

  /** Several statements of which all or none take effect. */
  async transaction<T>(work: () => T): Promise<T> {
    // Takes the write lock first: a transaction that begins with a read cannot wait for it later.
    return translated(() => this.client.transaction(work).immediate());
  }

  close(): void {
    this.client.close();
  }
}

function openClient(file: string): Sqlite.Database {
  return translated(() => {
    createPrivately(file);
    const client = new Sqlite(file, { timeout: BUSY_TIMEOUT_MS });
    try {
      client.pragma('journal_mode = WAL');
      client.pragma('synchronous = NORMAL');
      client.pragma('foreign_keys = ON');
    } catch (error) {
      client.close();
      throw error;
    }
    return client;
  });
}

/**
 * An existing file is never opened here: closing any descriptor of it would drop the POSIX locks of
 * another connection of this process (https://sqlite.org/howtocorrupt.html, section 2.2).
 */
function createPrivately(file: string): void {
  try {
    closeSync(openSync(file, 'wx', 0o600));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}

function translated<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw toDatabaseError(error);
  }
}
