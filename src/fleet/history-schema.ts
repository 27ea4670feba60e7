import { z } from 'zod';
import { TIME_WORDS, timeParam } from '../../protocol/commands/time-param.ts';
import { COMMAND_STATUSES, isoTime, PAGE_MAX_COUNT, serverIdSchema } from './schema-fields.ts';

/** Arguments of get_command_history. */
export const historyArgs = z.strictObject({
  server_id: serverIdSchema.optional(),
  actor: z.string().min(1).max(128).optional().describe('Who: http, stdio, local, token:NAME.'),
  method: z.string().min(1).max(128).optional().describe('A method or tool, such as system.exec.'),
  status: z.enum(COMMAND_STATUSES).optional(),
  since: timeParam.optional().describe(`Started then or later. ${TIME_WORDS}`),
  until: timeParam.optional().describe('Started before.'),
  cursor: z.string().max(128).optional().describe('next_cursor of the page before.'),
  limit: z
    .number()
    .int()
    .min(1)
    .max(PAGE_MAX_COUNT)
    .default(20)
    .describe('A page of long params ends sooner.'),
});

export const historyResult = z.object({
  commands: z.array(
    z.object({
      command_id: z.string(),
      server_id: z.string(),
      actor: z.string(),
      origin: z.string().nullable().describe('Address of the caller, if it came over the network.'),
      method: z.string(),
      params: z
        .record(z.string(), z.unknown())
        .describe('Secrets as ***; of methods above your own access the names only.'),
      params_text: z.string().optional().describe('The beginning of params that are too long.'),
      truncated: z.boolean().optional(),
      status: z.enum(COMMAND_STATUSES),
      error: z.object({ code: z.number().int(), message: z.string() }).optional(),
      started_at: isoTime,
      duration_ms: z.number().nullable(),
      result_bytes: z.number().int().nullable(),
    }),
  ),
  next_cursor: z.string().optional(),
});
