import { z } from 'zod';
import { COMMAND_STATUSES, commandFields, errorSchema, serverIdSchema } from './schema-fields.ts';

/** Arguments and results of send_agent_command, get_command and cancel_command. */

/** Longest that one call waits for a command. */
const WAIT_MAX_SECONDS = 60 * 60;
/** Hosts may cut a tool call at 60 s. */
const WAIT_DEFAULT_SECONDS = 45;
const CANCEL_WAIT_DEFAULT_SECONDS = 10;

const waitSeconds = z.number().min(0).max(WAIT_MAX_SECONDS);
const commandId = z
  .string()
  .min(1)
  .max(128)
  .describe('command_id of send_agent_command, run_on_agents or get_command_history.');

export const commandArgs = z.strictObject({
  server_id: serverIdSchema,
  ...commandFields,
  wait_seconds: waitSeconds
    .default(WAIT_DEFAULT_SECONDS)
    .describe(
      'How long to wait here; past it the command goes on, and get_command shows it. Below the time after which your host cancels calls, which stops the command.',
    ),
});

export const getArgs = z.strictObject({
  command_id: commandId,
  wait_seconds: waitSeconds
    .default(0)
    .describe('Wait so long for its end or, with offset, for new output.'),
  offset: z
    .number()
    .int()
    .min(0)
    .optional()
    .describe('Output from this byte on: 0, then next_offset. What lies before may be dropped.'),
  result_offset: z
    .number()
    .int()
    .min(0)
    .optional()
    .describe('A long result from this character on: next_result_offset.'),
});

export const cancelArgs = z.strictObject({
  command_id: commandId,
  wait_seconds: waitSeconds
    .default(CANCEL_WAIT_DEFAULT_SECONDS)
    .describe('How long to wait for its end.'),
});

const outputSchema = z.object({
  offset: z.number().int().describe('The byte of the output at which this begins.'),
  next_offset: z.number().int().describe('Ask get_command for this offset next.'),
  parts: z.array(z.object({ stream: z.enum(['stdout', 'stderr']), text: z.string() })),
  dropped_bytes: z.number().int().describe('Not kept, between the offset asked for and the end.'),
  has_more: z.boolean().describe('Whether there is more already.'),
});

export const commandResult = z.object({
  command_id: z.string(),
  status: z.enum(COMMAND_STATUSES),
  result: z.unknown().optional(),
  result_text: z.string().optional().describe('A part of a result too long for one answer.'),
  truncated: z.boolean().optional(),
  next_result_offset: z
    .number()
    .int()
    .optional()
    .describe('get_command with this as result_offset shows the next part.'),
  result_chars: z.number().int().optional().describe('Of the whole result as text.'),
  error: errorSchema.optional(),
  output: outputSchema.optional().describe('What it has put out so far.'),
  progress: z
    .object({ message: z.string(), fraction: z.number().optional() })
    .optional()
    .describe('How far it is.'),
  note: z.string().optional().describe('What else there is to know, and what to do.'),
  duration_ms: z.number(),
});

/** What the three tools answer. */
export type CommandAnswer = z.output<typeof commandResult>;
export type CommandOutputPage = z.output<typeof outputSchema>;
