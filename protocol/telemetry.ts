import { z } from 'zod';

const usage = z.object({
  /** Bytes. */
  used: z.number().nonnegative(),
  /** Bytes. */
  total: z.number().nonnegative(),
  /** 0 to 100. */
  percent: z.number().min(0).max(100),
});

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
