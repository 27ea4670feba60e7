import { TomoError } from '../../protocol/errors.ts';
import { DatabaseError } from '../db/errors.ts';

/** Runs `work`; what the database refuses becomes an error that a user can act on. */
export async function databaseErrorsExplained<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    throw new TomoError(
      'DATABASE_UNAVAILABLE',
      `Tomo's database refused (${error.code}). ${ADVICE[error.code] ?? 'The cause is in the log.'}`,
      { cause: error, facts: { reason: error.code } },
    );
  }
}

const ADVICE: Readonly<Record<string, string>> = {
  locked: 'Another program holds it open for writing: end that program and try again.',
  full: 'The disk of the data directory is full: make room and try again.',
  unwritable:
    'The data directory is not writable: correct its permissions or choose another --data-dir.',
  readonly: 'The data directory is not writable: correct its permissions and try again.',
  corrupt: 'Stop Tomo and restore the newest backup beside tomo.db.',
};
