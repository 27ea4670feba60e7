import { toTomoError } from '../../protocol/errors.ts';
import { withTimeLimit } from '../time-limit.ts';

/** One thing that was looked at; `next_step` is for a person when it is not as it should be. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  readonly next_step?: string;
}

const CHECK_LIMIT_MS = 4_000;

/** A check that fails, or is not done in time, is a check that did not pass. */
export async function bounded(
  name: string,
  signal: AbortSignal,
  look: (signal: AbortSignal) => Promise<Omit<Check, 'name'>>,
  limitMs: number = CHECK_LIMIT_MS,
): Promise<Check> {
  try {
    return { name, ...(await withTimeLimit(limitMs, signal, look)) };
  } catch (error) {
    signal.throwIfAborted();
    return { name, ok: false, detail: describe(error, limitMs) };
  }
}

function describe(error: unknown, limitMs: number): string {
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return `no answer within ${limitMs / 1_000} s`;
  }
  const shown = toTomoError(error);
  // What the system says of its own files, names and sockets may be shown.
  return shown === error || !isSystemError(error) ? shown.message : error.message;
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && typeof error.code === 'string';
}
