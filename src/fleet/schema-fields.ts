import { z } from 'zod';
import { CALL_TIMEOUT_MAX_MS } from '../../protocol/limits.ts';

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

const LABELS_MAX_COUNT = 64;

export const labelsSchema = z
  .record(z.string().min(1).max(63), z.string().max(255))
  .refine((labels) => Object.keys(labels).length <= LABELS_MAX_COUNT, {
    message: `at most ${LABELS_MAX_COUNT} labels`,
  });

export const errorSchema = z.object({
  code: z.number().int(),
  name: z.string(),
  message: z.string(),
});

/** What a command is, whichever server carries it out. */
export const commandFields = {
  method: z.string().min(1).max(128).describe('A method of list_agent_commands.'),
  params: z.record(z.string(), z.unknown()).default({}).describe('The method’s params.'),
  timeout_seconds: z
    .number()
    .positive()
    .max(CALL_TIMEOUT_MAX_MS / 1_000)
    .optional()
    .describe('How long the command may take; each method has a default.'),
};
