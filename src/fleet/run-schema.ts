import { z } from 'zod';
import {
  COMMAND_STATUSES,
  commandFields,
  errorSchema,
  labelsSchema,
  PAGE_MAX_COUNT,
  serverIdSchema,
} from './schema-fields.ts';

/** Most servers that one call works on at a time. */
const CONCURRENCY_MAX_COUNT = 64;
const CONCURRENCY_DEFAULT_COUNT = 16;

/** Arguments of run_on_agents; the operation refuses any number of choices but one. */
export const runArgs = z.strictObject({
  server_ids: z.array(serverIdSchema).min(1).max(PAGE_MAX_COUNT).optional(),
  labels: labelsSchema
    .refine((labels) => Object.keys(labels).length > 0, { message: 'name at least one label' })
    .optional()
    .describe('Instead: every server that has all of these.'),
  all: z.literal(true).optional().describe('Instead: every server.'),
  ...commandFields,
  max_concurrency: z
    .number()
    .int()
    .min(1)
    .max(CONCURRENCY_MAX_COUNT)
    .default(CONCURRENCY_DEFAULT_COUNT)
    .describe('How many servers work at a time.'),
});

export const runResult = z.object({
  groups: z
    .array(
      z.object({
        server_ids: z.array(z.string()),
        command_ids: z
          .array(z.string())
          .describe('In the order of server_ids, of the first servers if there are very many.'),
        status: z.enum(COMMAND_STATUSES),
        result: z.unknown().optional(),
        result_text: z.string().optional().describe('The beginning of a result that is too long.'),
        truncated: z.boolean().optional(),
        rest: z
          .object({ command_id: z.string(), result_offset: z.number().int() })
          .optional()
          .describe('get_command with these shows the rest of a result that was cut.'),
      }),
    )
    .describe('Equal answers once, the most frequent first.'),
  failures: z
    .array(
      z.object({
        server_id: z.string(),
        command_id: z.string().nullable().describe('null: nothing was begun there.'),
        status: z.enum(COMMAND_STATUSES),
        error: errorSchema,
      }),
    )
    .describe('Servers that gave no answer; past 25,000 characters their messages are left out.'),
  counts: z.object({
    asked: z.number().int(),
    succeeded: z.number().int(),
    failed: z.number().int().describe('All others, with those whose answer says timed_out.'),
  }),
});
