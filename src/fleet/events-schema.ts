import { z } from 'zod';
import { TIME_WORDS, timeParam } from '../../protocol/commands/time-param.ts';
import { isoTime, PAGE_MAX_COUNT, serverIdSchema } from './schema-fields.ts';

/** Arguments of get_agent_events. */
export const eventsArgs = z.strictObject({
  server_id: serverIdSchema.optional(),
  type: z
    .string()
    .min(1)
    .max(160)
    .optional()
    .describe(
      'Such as registered, connected, disconnected, clone_refused; agents’ own: agent.container.die, agent.container.oom, agent.container.health_status, agent.container.start, agent.engine_down, agent.engine.summary (counts of very many), agent.logs.not_collected.',
    ),
  since: timeParam.optional().describe(`Heard of then or later. ${TIME_WORDS}`),
  until: timeParam.optional().describe('Heard of before.'),
  cursor: z.string().max(128).optional().describe('next_cursor of the page before.'),
  limit: z
    .number()
    .int()
    .min(1)
    .max(PAGE_MAX_COUNT)
    .default(20)
    .describe('A page of long details ends sooner.'),
});

export const eventsResult = z.object({
  events: z.array(
    z.object({
      id: z.number().int(),
      server_id: z.string(),
      type: z.string(),
      at: isoTime,
      detail: z.record(z.string(), z.unknown()).nullable(),
      detail_text: z.string().optional().describe('The beginning of a detail that is too long.'),
      truncated: z.boolean().optional(),
    }),
  ),
  next_cursor: z.string().optional(),
  note: z.string().optional().describe('What else there is to know, and what to do.'),
});
