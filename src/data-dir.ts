import { mkdirSync } from 'node:fs';
import { finishRestore, hasUnfinishedRestore } from './backup/unfinished-restore.ts';
import { acquireOwnerLock } from './db/owner-lock.ts';
import { StartError } from './start-error.ts';

/**
 * Makes the data directory, and finishes a restore that was cut off. Throws StartError (exit 1) if it
 * cannot be written.
 */
export function prepareDataDir(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    if (!hasUnfinishedRestore(dataDir)) return;
    using lock = acquireOwnerLock(dataDir);
    if (lock === undefined) throw restoring(dataDir);
    finishRestore(dataDir);
  } catch (error) {
    throw error instanceof StartError ? error : unwritable(dataDir, error);
  }
}

function restoring(dataDir: string): StartError {
  return new StartError(
    `tomo: a backup is being restored into ${dataDir}; wait for that to end, then start again`,
    1,
  );
}

export function unwritable(dataDir: string, cause: unknown): StartError {
  return new StartError(
    `tomo: the data directory ${dataDir} cannot be written; make it writable for this user or choose another --data-dir`,
    1,
    cause,
  );
}
