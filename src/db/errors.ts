import Sqlite from 'better-sqlite3';
import { z } from 'zod';

/**
 * `locked`: another connection holds the database past the busy time-out. `full`: no room on the disk.
 * `readonly`: the file may be read only. `corrupt`: not a database, or a row that cannot be parsed.
 * `newer`: written by a newer version of the program. `unwritable`: the file or its directory cannot
 * be made or opened. `other`: anything else; see `cause`.
 */
export type DatabaseErrorCode =
  | 'locked'
  | 'full'
  | 'readonly'
  | 'corrupt'
  | 'newer'
  | 'unwritable'
  | 'other';

/** The only error that src/db throws. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError';
  readonly code: DatabaseErrorCode;

  constructor(code: DatabaseErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.code = code;
  }
}

/** Any fault of SQLite, of the file system or of a row's JSON as a DatabaseError. */
export function toDatabaseError(error: unknown): DatabaseError {
  if (error instanceof DatabaseError) return error;
  const code = databaseErrorCode(error);
  return new DatabaseError(code, MESSAGES[code], { cause: error });
}

const MESSAGES: Readonly<Record<DatabaseErrorCode, string>> = {
  locked: 'The database is locked by another program; try again.',
  full: 'The disk or the database is full; nothing was written.',
  readonly: 'The database may only be read.',
  corrupt: 'The database is damaged, or is not a database.',
  newer: 'The database was written by a newer version of this program.',
  unwritable: 'The database file cannot be created or opened.',
  other: 'The database failed.',
};

/** SQLite's result codes, without their extensions: https://sqlite.org/rescode.html */
const SQLITE_CODES: ReadonlyArray<readonly [prefix: string, code: DatabaseErrorCode]> = [
  ['SQLITE_BUSY', 'locked'],
  ['SQLITE_FULL', 'full'],
  ['SQLITE_READONLY', 'readonly'],
  ['SQLITE_CORRUPT', 'corrupt'],
  ['SQLITE_NOTADB', 'corrupt'],
  ['SQLITE_CANTOPEN', 'unwritable'],
];

const fileFault = z.object({ code: z.string(), syscall: z.string() });

function databaseErrorCode(error: unknown): DatabaseErrorCode {
  if (error instanceof Sqlite.SqliteError) return sqliteErrorCode(error.code);
  if (error instanceof z.ZodError || error instanceof SyntaxError) return 'corrupt';
  const fault = fileFault.safeParse(error);
  if (fault.success) return fault.data.code === 'ENOSPC' ? 'full' : 'unwritable';
  // drizzle wraps what a raw statement throws.
  return error instanceof Error && error.cause !== undefined
    ? databaseErrorCode(error.cause)
    : 'other';
}

function sqliteErrorCode(sqliteCode: string): DatabaseErrorCode {
  return SQLITE_CODES.find(([prefix]) => sqliteCode.startsWith(prefix))?.[1] ?? 'other';
}
