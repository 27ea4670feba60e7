import { z } from 'zod';
import { TIME_WORDS, timeParam } from '../../protocol/commands/time-param.ts';
import { AGGREGATES, CONTAINER_METRICS, HOST_METRICS, type Metric } from '../db/metrics-history.ts';
import { isoTime, serverIdSchema } from './schema-fields.ts';

/** What the values of each metric are in. */
export const METRIC_UNITS: Readonly<Record<Metric, string>> = {
  cpu: 'percent',
  load: 'processes',
  memory: 'bytes',
  memory_percent: 'percent',
  memory_limit: 'bytes',
  swap: 'bytes',
  disk: 'bytes',
  disk_percent: 'percent',
  network_rx: 'bytes/s',
  network_tx: 'bytes/s',
  disk_read: 'bytes/s',
  disk_write: 'bytes/s',
  temperature: 'celsius',
  containers_running: 'containers',
  containers_stopped: 'containers',
};

const metricSchema = z.enum([...HOST_METRICS, 'memory_limit']);

/** Arguments of get_agent_metrics. */
export const metricsArgs = z.strictObject({
  server_id: serverIdSchema,
  metrics: z
    .array(metricSchema)
    .min(1)
    .optional()
    .describe(
      `Of a server: ${HOST_METRICS.join(', ')}; of a container: ${CONTAINER_METRICS.join(', ')}. Default: the most telling.`,
    ),
  container: z
    .string()
    .min(1)
    .max(255)
    .optional()
    .describe('Name of a container, for its metrics instead of the server’s.'),
  since: timeParam.default('1h').describe(TIME_WORDS),
  until: timeParam.default('now').describe('As since.'),
  step_seconds: z
    .number()
    .int()
    .min(1)
    .max(30 * 24 * 60 * 60)
    .optional()
    .describe('Length of time of one value; chosen to give about 60 values if left out.'),
  aggregate: z.enum(AGGREGATES).default('avg').describe('What becomes of the values of one step.'),
});

const value = z.number().nullable();

export const metricsResult = z.object({
  server_id: z.string(),
  container: z.string().optional(),
  since: isoTime,
  until: isoTime,
  step_seconds: z.number().int(),
  aggregate: z.enum(AGGREGATES),
  times: z.array(isoTime).describe('When each step begins.'),
  series: z.array(
    z.object({
      metric: metricSchema,
      unit: z.string().describe('cpu of a container: 100 percent is one processor.'),
      values: z.array(value).describe('One for each of times; null: not measured.'),
      min: value.describe('Of the whole time, as avg and max.'),
      avg: value,
      max: value,
      last: value,
    }),
  ),
  containers: z
    .array(z.string())
    .optional()
    .describe('Names of containers of which metrics are kept.'),
  note: z.string().optional().describe('Why there is nothing, or less than asked for.'),
});
