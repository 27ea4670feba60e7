import { z } from 'zod';
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
      'Such as registered, connected, disconnected, clone_refused; agents’ own: agent.TYPE.',
    ),
  since: z.iso.datetime({ offset: true }).optional().describe('Happened then or later, ISO 8601.'),
  until: z.iso.datetime({ offset: true }).optional().describe('Happened before.'),
  cursor: z.string().max(128).optional().describe('next_cursor of the page before.'),
  limit: z
    .number()
    .int()
    .min(1)
    .max(PAGE_MAX_COUNT)
    .default(20)
    .describe('A page of very long details ends sooner.'),
});

export const eventsResult = z.object({
  events: z.array(
    z.object({
      id: z.number().int(),
      server_id: z.string(),
      type: z.string(),
      at: isoTime,
      detail: z.record(z.string(), z.unknown()).nullable(),
    }),
  ),
  next_cursor: z.string().optional(),
});
