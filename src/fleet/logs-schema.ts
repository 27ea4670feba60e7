import { z } from 'zod';
import { TIME_WORDS, timeParam } from '../../protocol/commands/time-param.ts';
import { isoTime, labelsSchema, PAGE_MAX_COUNT, serverIdSchema } from './schema-fields.ts';

/** Arguments of search_logs. */
export const searchLogsArgs = z.strictObject({
  text: z
    .string()
    .min(1)
    .max(1_000)
    .optional()
    .describe('Lines that contain exactly this, in any case; no pattern.'),
  container: z
    .string()
    .min(1)
    .max(255)
    .optional()
    .describe('Its whole name, or its id or the beginning of it.'),
  server_ids: z.array(serverIdSchema).min(1).max(PAGE_MAX_COUNT).optional(),
  labels: labelsSchema.optional().describe('Servers that have all of these.'),
  since: timeParam.optional().describe(`Logged then or later. ${TIME_WORDS}`),
  until: timeParam.optional().describe('Logged before.'),
  stream: z.enum(['stdout', 'stderr']).optional(),
  cursor: z.string().max(128).optional().describe('next_cursor of the page before.'),
  limit: z
    .number()
    .int()
    .min(1)
    .max(PAGE_MAX_COUNT)
    .default(100)
    .describe('A page of long lines ends sooner.'),
});

export const searchLogsResult = z.object({
  lines: z.array(
    z.object({
      server_id: z.string(),
      container: z.string(),
      stream: z.enum(['stdout', 'stderr']),
      at: isoTime,
      text: z.string().describe('Control characters are written as \\xNN.'),
      cut: z.literal(true).optional().describe('The line was longer.'),
      lost: z
        .literal(true)
        .optional()
        .describe('Not of the container: lines before this are lost, as the text says.'),
    }),
  ),
  next_cursor: z.string().optional().describe('There may be older lines.'),
  note: z.string().optional(),
});

/** Arguments of the wait for changes, which only this program's own processes make. */
export const changesArgs = z.strictObject({
  version: z.string().max(128).optional(),
  wait_seconds: z.number().min(0).max(60),
});

export const changesResult = z.object({
  version: z.string(),
  /** Null: any of them. */
  server_ids: z.array(z.string()).nullable(),
});
