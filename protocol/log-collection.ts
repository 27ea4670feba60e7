import { z } from 'zod';
import {
  COLLECTED_LINE_MAX_BYTES,
  LOG_BATCH_CONTAINERS_MAX_COUNT,
  LOG_CONTAINER_NAME_MAX_CHARS,
} from './limits.ts';

/** Which containers' logs an agent pushes: none, all, or those with a label (of that value, if given). */
export const logCollectionSchema = z.union(
  [
    z.enum(['off', 'all']),
    z.strictObject({
      label: z
        .string()
        .min(1)
        .max(255)
        .regex(/^[^=\s]+(?:=.*)?$/, 'a label’s name, or name=value'),
    }),
  ],
  {
    error:
      'expected "off", "all", or a label of containers: {"label": "NAME"} or {"label": "NAME=VALUE"}',
  },
);
export type LogCollection = z.infer<typeof logCollectionSchema>;

/** Nanoseconds since 1970 as decimal text: no number holds them. */
const nanoseconds = z.string().regex(/^\d{1,20}$/);

export const logLineSchema = z.object({
  /** Place in the batch's `containers`. */
  container: z.int().nonnegative(),
  /** A terminal has only the first. */
  stream: z.enum(['stdout', 'stderr']),
  /** When the engine took it. */
  at: nanoseconds,
  /** Rises among the lines of one container, stream and time; the same whenever the log is read. */
  n: z.int().nonnegative().default(0),
  /** Without the line end, any characters. */
  text: z.string().max(COLLECTED_LINE_MAX_BYTES),
  /** The line was longer. */
  cut: z.literal(true).optional(),
  /** No line of the container: a word of the agent's that lines before this place are lost. */
  lost: z.literal(true).optional(),
});

/** Which batch it is. */
export const logBatchHeadSchema = z.object({
  /** New for every process of the agent. */
  epoch: z.string().min(1).max(64),
  /** Counts the batches of an epoch. */
  batch: z.int().positive(),
});

/** Params of `logs.push`. */
export const logBatchSchema = logBatchHeadSchema.extend({
  containers: z
    .array(
      z.object({
        id: z.string().min(1).max(128),
        name: z.string().max(LOG_CONTAINER_NAME_MAX_CHARS),
      }),
    )
    .max(LOG_BATCH_CONTAINERS_MAX_COUNT),
  lines: z.array(logLineSchema),
});
export type LogBatch = z.infer<typeof logBatchSchema>;
export type LogLine = z.infer<typeof logLineSchema>;

/** Params of `logs.ack`: this batch and all before it are stored. */
export const logsAckSchema = z.object({ batch: z.int().positive() });
