import { mkdirSync } from 'node:fs';
import { StartError } from './start-error.ts';

/** Makes the data directory. Throws StartError (exit 1) if it cannot be written. */
export function prepareDataDir(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw unwritable(dataDir, error);
  }
}

export function unwritable(dataDir: string, cause: unknown): StartError {
  return new StartError(
    `tomo: the data directory ${dataDir} cannot be written; make it writable for this user or choose another --data-dir`,
    1,
    cause,
  );
}
