import { closeSync, openSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import { type BetterSQLite3Database, drizzle } from 'drizzle-orm/better-sqlite3';
import { toDatabaseError } from './errors.ts';

/** How long a statement waits for another process's lock. It blocks the event loop meanwhile. */
const BUSY_TIMEOUT_MS = 1_000;
/** So long after a wait in vain none waits: one after the other they would hold up everything else. */
const IMPATIENT_MS = 10_000;

export type Orm = BetterSQLite3Database;

/**
 * One open SQLite file. Whatever goes wrong inside `run` and `transaction` is thrown as a
 * DatabaseError; both do their work before they return, so that calls never interleave.
 */
export class Connection {
  readonly client: Sqlite.Database;
  readonly orm: Orm;
  /** Monotonic ms at which statements wait for locks again, if they do not. */
  #impatientUntil: number | undefined;

  /** Opens `file`, made with mode 0600 if there is none. Throws DatabaseError. */
  constructor(file: string) {
    this.client = openClient(file);
    this.orm = drizzle(this.client);
  }

  /** A single statement, which is a transaction by itself. */
  async run<T>(work: () => T): Promise<T> {
    return this.#withPatience(work);
  }

  /** Several statements of which all or none take effect. */
  async transaction<T>(work: () => T): Promise<T> {
    // Takes the write lock first: a transaction that begins with a read cannot wait for it later.
    return this.#withPatience(() => {
      const result = this.client.transaction(work).immediate();
      this.#setImpatient(undefined);
      return result;
    });
  }

  close(): void {
    this.client.close();
  }

  /** Lets a statement wait for a lock unless one has waited in vain a short time ago. */
  #withPatience<T>(work: () => T): T {
    try {
      if (performance.now() >= (this.#impatientUntil ?? Number.POSITIVE_INFINITY)) {
        this.#setImpatient(undefined);
      }
      return work();
    } catch (error) {
      const fault = toDatabaseError(error);
      if (fault.code === 'locked') {
        this.#setImpatient(this.#impatientUntil ?? performance.now() + IMPATIENT_MS);
      }
      throw fault;
    }
  }

  #setImpatient(impatientUntil: number | undefined): void {
    if (impatientUntil === this.#impatientUntil) return;
    this.#impatientUntil = impatientUntil;
    this.client.pragma(`busy_timeout = ${impatientUntil === undefined ? BUSY_TIMEOUT_MS : 0}`);
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
