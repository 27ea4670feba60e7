import { z } from 'zod';
import { ERROR_CODES, type TomoError } from './errors.ts';

/**
 * JSON-RPC 2.0 as hub and agent speak it: params are always an object, ids always strings, one
 * message per text frame, no batches. Unknown fields are ignored.
 */

/** Notifications of either side that are about a call: names as in the Language Server Protocol. */
export const CANCEL_METHOD = '$/cancelRequest';
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
  z.object({ jsonrpc: z.literal('2.0'), id, result: z.unknown() }),
]);

export const cancelParamsSchema = z.object({ id });
export const storedParamsSchema = z.object({ ids: z.array(id) });

/** A call of hub or agent. */
export type RpcRequest = z.infer<typeof requestSchema>;
/** A message that gets no answer. */
export type RpcNotification = z.infer<typeof notificationSchema>;
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

export function encodeError(requestId: string | null, error: TomoError): string {
  const data = { name: error.name, ...error.facts };
  return JSON.stringify({
    jsonrpc: '2.0',
    id: requestId,
    error: { code: ERROR_CODES[error.name], message: error.message, data },
  });
}
