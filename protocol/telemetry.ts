import { z } from 'zod';
import {
  METRICS_CONTAINERS_MAX_COUNT,
  METRICS_CORES_MAX_COUNT,
  METRICS_DISKS_MAX_COUNT,
  METRICS_INTERFACES_MAX_COUNT,
  METRICS_SENSORS_MAX_COUNT,
} from './limits.ts';

const usage = z.object({
  /** Bytes. */
  used: z.number().nonnegative(),
  /** Bytes. */
  total: z.number().nonnegative(),
  /** 0 to 100. */
  percent: z.number().min(0).max(100),
});

const name = z.string().max(4_096);
const amount = z.number().nonnegative();

const diskSchema = z.looseObject({ mount: name, ...usage.shape });

/** Bytes since the interface came up, and bytes per second since the measurement before. */
const interfaceSchema = z.looseObject({
  interface: name,
  rx_bytes: amount,
  tx_bytes: amount,
  rx_rate: amount.optional(),
  tx_rate: amount.optional(),
});

/** The fields of `docker.containers.stats`, and what passed per second since the measurement before. */
const containerUsageSchema = z.looseObject({
  id: z.string().max(64),
  name: z.string().max(255),
  /** 100 is one processor; left out while there is no measurement to compare with. */
  cpu_percent: amount.optional(),
  /** Bytes, page cache left out. */
  memory_usage: amount,
  memory_limit: amount,
  /** Bytes since the container started. */
  network_rx: amount,
  network_tx: amount,
  block_read: amount,
  block_write: amount,
  /** Bytes per second; left out as cpu_percent is, and when a counter went backwards. */
  rates: z
    .object({
      network_rx: amount,
      network_tx: amount,
      block_read: amount,
      block_write: amount,
    })
    .optional(),
});
export type ContainerUsage = z.infer<typeof containerUsageSchema>;

/** What is in these shapes only: anything else under their names is left out, not the whole report. */
function lenient<T extends z.ZodType>(schema: T) {
  return schema.optional().catch(undefined);
}

/** A server's metrics: params of `metrics.update`, result of `metrics.get` and `system.get_metrics`. */
export const metricsSchema = z.looseObject({
  /** Share of all processors in use since the last measurement, 0 to 100. */
  cpu: z.number().nonnegative(),
  memory: usage,
  /** The server's root file system. */
  disk: usage,
  containers: z.object({
    running: z.number().int().nonnegative(),
    stopped: z.number().int().nonnegative(),
  }),
  /** As `cpu`, of each processor. */
  cpu_cores: lenient(z.array(amount).max(METRICS_CORES_MAX_COUNT)),
  /** Load averages over 1, 5 and 15 minutes. */
  load: lenient(z.tuple([amount, amount, amount])),
  swap: lenient(usage),
  /** Every local file system. */
  disks: lenient(z.array(diskSchema).max(METRICS_DISKS_MAX_COUNT)),
  /** Bytes per second of all whole disks together. */
  disk_io: lenient(z.object({ read: amount, write: amount })),
  network: lenient(z.array(interfaceSchema).max(METRICS_INTERFACES_MAX_COUNT)),
  /** Bytes per second of all interfaces together that carry traffic of their own. */
  network_io: lenient(z.object({ rx: amount, tx: amount })),
  temperatures: lenient(
    z.array(z.looseObject({ sensor: name, celsius: z.number() })).max(METRICS_SENSORS_MAX_COUNT),
  ),
  /** The containers that run. */
  container_usage: lenient(z.array(containerUsageSchema).max(METRICS_CONTAINERS_MAX_COUNT)),
  /** How many entries of which list were left out, because of a limit or no answer in time. */
  omitted: lenient(z.record(z.string().max(64), z.number().int().positive())),
});
export type Metrics = z.infer<typeof metricsSchema>;

/** Params of `health.status`. */
export const healthSchema = z.looseObject({
  status: z.string().max(64),
  /** Seconds since the agent's process started. */
  uptime: z.number().nonnegative(),
  version: z.string().max(64),
});
export type Health = z.infer<typeof healthSchema>;

/** Params of `agent.event`: something that happened on the server. */
export const agentEventSchema = z.looseObject({
  type: z.string().min(1).max(128),
  /**
   * Counts the events of one process of the agent. The hub acknowledges events that have it, and knows
   * one that comes again.
   */
  seq: z.int().positive().optional(),
});

/** Params of `events.ack`. */
export const eventsAckSchema = z.object({ seq: z.int().positive() });

/** The `agent.event` of an agent that was told to move and could not. */
export const MOVE_FAILED_EVENT = 'move_failed';
export const moveFailedSchema = z.object({
  server_url: z.string().max(2_048),
  cause: z.string().max(2_000),
});
export type MoveFailure = z.infer<typeof moveFailedSchema>;
