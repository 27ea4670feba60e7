import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type Sqlite from 'better-sqlite3';
import { onTestFinished } from 'vitest';
import { Connection } from '../../src/db/connection.ts';
import { TomoDatabase } from '../../src/db/database.ts';
import { migrate } from '../../src/db/migrations.ts';

/** The program's own migrations. */
export const MIGRATIONS_DIR = fileURLToPath(new URL('../../drizzle', import.meta.url));

/** For tests: a directory that is removed when the test is over. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'tomo-db-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

export interface DatabaseHandle {
  file: string;
  connection: Connection;
  client: Sqlite.Database;
  db: TomoDatabase;
}

/** For tests: a migrated database in a file of its own, closed when the test is over. */
export function temporaryDatabase(): DatabaseHandle {
  return openHandle(join(temporaryDirectory(), 'tomo.db'));
}

/** For tests: one more handle of a database file, closed when the test is over. */
export function openHandle(file: string): DatabaseHandle {
  const connection = new Connection(file);
  onTestFinished(() => connection.close());
  migrate(connection.client, MIGRATIONS_DIR);
  return { file, connection, client: connection.client, db: new TomoDatabase(connection) };
}
