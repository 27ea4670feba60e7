import { TomoError } from '../../protocol/errors.ts';
import { OUTPUT_KEPT_OVERALL_MAX_BYTES } from '../../protocol/limits.ts';

/** Why a lossless stream ends that nobody reads. */
export function outputUnread(ms: number): TomoError {
  return new TomoError(
    'COMMAND_CANCELLED',
    `Nobody read the output for ${Math.round(ms / 60_000)} min, so the command was stopped. Start it again, and read on with get_command and its offset.`,
    { facts: { unread_ms: ms } },
  );
}

/** Why a lossless stream ends whose unread output gave way to others'. */
export function tooMuchUnread(): TomoError {
  return new TomoError(
    'COMMAND_CANCELLED',
    'More output of commands is unread than is kept, and of those of its agent this one was unread for the longest: it was stopped. Start it again, and read on with get_command and its offset.',
    { facts: { limit: OUTPUT_KEPT_OVERALL_MAX_BYTES } },
  );
}
