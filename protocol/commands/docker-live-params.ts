import { z } from 'zod';
import { containerParam, secondsParam } from './fields.ts';
import { TIME_WORDS, timeParam } from './time-param.ts';

/** Params of the methods that answer what is there, or follow what comes. */

const LOG_LINES = 100;
const FOLLOW_SECONDS = 86_400;
const STATS_SECONDS = 600;

const container = z.strictObject({ container: containerParam });

export const logsParams = container
  .extend({
    tail: z
      .number()
      .int()
      .min(0)
      .max(100_000)
      .optional()
      .describe('Lines, counted from the end before grep: 100, or all with since or grep.'),
    follow: z
      .boolean()
      .default(false)
      .describe('Go on with new lines as output, until the container is removed or `until`.'),
    since: timeParam.optional().describe(TIME_WORDS),
    until: timeParam.optional(),
    grep: z.string().min(1).max(1_000).optional().describe('Only lines with this literal text.'),
    ignore_case: z.boolean().default(false).describe('For grep.'),
    timestamps: z.boolean().default(true),
    stdout: z.boolean().default(true),
    stderr: z.boolean().default(true),
    timeout: secondsParam(FOLLOW_SECONDS).describe('With follow: seconds until it ends.'),
  })
  .transform((given) => ({
    ...given,
    tail: given.tail ?? ((given.since ?? given.grep) === undefined ? LOG_LINES : undefined),
  }));

export const statsParams = container.extend({
  stream: z.boolean().default(false).describe('A line of JSON a second as output.'),
  timeout: secondsParam(STATS_SECONDS).describe('With stream: seconds until it ends.'),
});

const filterName = z.enum([
  'config',
  'container',
  'daemon',
  'event',
  'image',
  'label',
  'network',
  'node',
  'plugin',
  'scope',
  'secret',
  'service',
  'type',
  'volume',
]);
const filterValue = z.string().min(1).max(1_000);

export const eventsParams = z.strictObject({
  since: timeParam.optional().describe(`${TIME_WORDS} Default 10m; with follow from now on.`),
  until: timeParam.optional(),
  filters: z
    .partialRecord(filterName, z.union([filterValue, z.array(filterValue).max(100)]))
    .optional()
    .describe('{"type": "container", "event": ["die", "oom"], "container": "web"}'),
  follow: z.boolean().default(false).describe('Each event as a line of JSON of the output.'),
  timeout: secondsParam(FOLLOW_SECONDS).describe('With follow: seconds until it ends.'),
});
