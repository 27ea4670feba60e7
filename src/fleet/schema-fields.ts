import { z } from 'zod';

/** Fields that the schemas of several operations share. */

/** How a command can stand; `running` only in the history. */
export const COMMAND_STATUSES = [
  'running',
  'succeeded',
  'failed',
  'timed_out',
  'cancelled',
  'detached',
  'lost',
] as const;

/** Most items of one page of anything that lists. */
export const PAGE_MAX_COUNT = 1_000;

export const serverIdSchema = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,62}$/,
    '1 to 63 characters of a-z 0-9 . _ -, starting with a letter or digit',
  )
  .describe('The server’s name in Tomo, such as "web-1".');

export const isoTime = z.string().describe('ISO 8601, UTC.');
