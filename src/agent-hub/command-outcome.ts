import type { TomoError } from '../../protocol/errors.ts';
import type { CommandStatus } from '../db/command-repository.ts';

/** How a command ended, in the words of the audit. */
type Outcome = Extract<CommandStatus, 'succeeded' | 'failed' | 'timed_out' | 'cancelled'>;

/** Of one that was answered: one that its own time limit ended answers with what it had until then. */
export function statusOfResult(result: unknown): Outcome {
  const stoppedItself =
    typeof result === 'object' &&
    result !== null &&
    'timed_out' in result &&
    result.timed_out === true;
  return stoppedItself ? 'timed_out' : 'succeeded';
}

export function statusOfError(error: TomoError): Outcome {
  if (error.name === 'COMMAND_TIMED_OUT') return 'timed_out';
  return error.name === 'COMMAND_CANCELLED' ? 'cancelled' : 'failed';
}
