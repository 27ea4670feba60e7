import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { DatabaseError, toDatabaseError } from './errors.ts';

const LOCK_FILE = 'owner.lock';

/** Held by at most one process per data directory, until `release` or the process's end. */
export interface OwnerLock extends Disposable {
  release(): void;
}

/**
 * Takes the lock of a data directory, or answers undefined at once if it is held, be it by this very
 * process. The operating system frees it when its holder dies, whatever the holder dies of. Throws
 * DatabaseError `unwritable` when the directory cannot be written.
 */
export function acquireOwnerLock(dataDir: string): OwnerLock | undefined {
  const file = join(dataDir, LOCK_FILE);
  try {
    const client = lockedClient(file);
    const release = () => void client.close();
    return { release, [Symbol.dispose]: release };
  } catch (error) {
    if (toDatabaseError(error).code === 'locked') return undefined;
    throw new DatabaseError('unwritable', `Cannot write ${file}.`, { cause: error });
  }
}

function lockedClient(file: string): Sqlite.Database {
  const client = new Sqlite(file, { timeout: 0 });
  try {
    client.exec('BEGIN EXCLUSIVE');
    // By name: opening and closing the file ourselves would drop the lock. Whoever can read the file
    // can lock it, so nobody else may.
    chmodSync(file, 0o600);
    return client;
  } catch (error) {
    client.close();
    throw error;
  }
}
