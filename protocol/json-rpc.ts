import { z } from 'zod';
import { ERROR_CODES, type TomoError } from './errors.ts';

/**
 * JSON-RPC 2.0 as hub and agent speak it: params are always an object, ids always strings, one
 * message per text frame, no batches. Unknown fields are ignored.
 */

/** Notifications of either side that are about a call: names as in the Language Server Protocol. */
export const CANCEL_METHOD = '$/cancelRequest';
/** Agent -> hub, of a command that runs: output, a step, or nothing but a sign of life; `ProgressParams`. */
export const PROGRESS_METHOD = '$/progress';
/** Hub -> agent: how much of a command's output was taken, `AckParams`. */
export const ACK_METHOD = '$/ack';
/** Hub -> candidate: it is the agent from now on; its state takes the place of the old one's. */
export const PROMOTED_METHOD = '$/promoted';
/** Hub -> agent that a candidate replaced: finish the commands under way, take no more, then go. */
export const RETIRE_METHOD = '$/retire';

/** Hub -> agent: answers that it need not keep any longer, `StoredParams`. */
export const STORED_METHOD = '$/stored';

/** Notifications agent -> hub. */
export const METRICS_METHOD = 'metrics.update';
export const HEALTH_METHOD = 'health.status';
export const EVENT_METHOD = 'agent.event';
/** Lines of the logs of containers, `LogBatch`. */
export const LOGS_METHOD = 'logs.push';

/** Hub -> agent: events up to that `seq` need not be sent again, `EventsAckParams`. */
export const EVENTS_ACK_METHOD = 'events.ack';
/** Hub -> agent: batches of log lines up to that one are stored, `LogsAckParams`. */
export const LOGS_ACK_METHOD = 'logs.ack';

const id = z.string().min(1).max(128);
const params = z.record(z.string(), z.unknown());

export const requestSchema = z.object({
  jsonrpc: z.literal('2.0'),
  method: z.string().min(1).max(128),
  params: params.optional(),
  id,
});

export const notificationSchema = z.object({
  jsonrpc: z.literal('2.0'),
  method: z.string().min(1).max(128),
  params: params.optional(),
  id: z.undefined().optional(),
});

const errorSchema = z.object({
  code: z.number().int(),
  message: z.string(),
  data: z.unknown().optional(),
});

export const responseSchema = z.union([
  z.object({ jsonrpc: z.literal('2.0'), id, error: errorSchema }),
  z.object({
    jsonrpc: z.literal('2.0'),
    id,
    result: z.unknown(),
    /** The result came in so many pieces before; `result` is null then. */
    pieces: z.int().positive().optional(),
  }),
]);

export const cancelParamsSchema = z.object({ id });
export const ackParamsSchema = z.object({
  id,
  /** The end of what was taken, as a position in the command's output: all before it is taken too. */
  bytes: z.int().nonnegative(),
});

/**
 * With `stream` stdout or stderr, `data` is output of the command; with `result`, a piece of the JSON of
 * its result, which the answer then leaves out. `data` without `stream` is a line for people about how
 * far it is. Without `data` it is a sign of life.
 */
export const progressParamsSchema = z.object({
  id,
  /** Counts the command's messages from 0 on, over all sockets. */
  seq: z.int().nonnegative(),
  stream: z.enum(['stdout', 'stderr', 'result']).optional(),
  /** Never cut inside a character. */
  data: z.string().optional(),
  /**
   * Where output begins: bytes of UTF-8 that the command had put out before, on both streams together.
   * More than the end of the piece before means that what lay between was dropped.
   */
  at: z.int().nonnegative().optional(),
  /** How far the command is, 0 to 1, if that is known. */
  fraction: z.number().min(0).max(1).optional(),
});
export const storedParamsSchema = z.object({ ids: z.array(id) });

/** A call of hub or agent. */
export type RpcRequest = z.infer<typeof requestSchema>;
/** A message that gets no answer. */
export type RpcNotification = z.infer<typeof notificationSchema>;
export type ProgressParams = z.infer<typeof progressParamsSchema>;
/** The answer to a request: a result or an error, never both. */
export type RpcResponse = z.infer<typeof responseSchema>;

export function encodeRequest(request: Omit<RpcRequest, 'jsonrpc'>): string {
  return JSON.stringify({ jsonrpc: '2.0', ...request });
}

export function encodeNotification(method: string, body: object): string {
  return JSON.stringify({ jsonrpc: '2.0', method, params: body });
}

export function encodeResult(requestId: string, result: unknown): string {
  return JSON.stringify({ jsonrpc: '2.0', id: requestId, result: result ?? null });
}

/** The answer to a request whose result came in so many pieces before. */
export function encodePieces(requestId: string, pieces: number): string {
  return JSON.stringify({ jsonrpc: '2.0', id: requestId, result: null, pieces });
}

export function encodeError(requestId: string | null, error: TomoError): string {
  const data = { name: error.name, ...error.facts };
  return JSON.stringify({
    jsonrpc: '2.0',
    id: requestId,
    error: { code: ERROR_CODES[error.name], message: error.message, data },
  });
}
