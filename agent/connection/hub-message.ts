import { z } from 'zod';
import { TomoError } from '../../protocol/errors.ts';
import { jsonExcess } from '../../protocol/json-limits.ts';
import {
  notificationSchema,
  type RpcNotification,
  type RpcRequest,
  requestSchema,
} from '../../protocol/json-rpc.ts';
import { JSON_DEPTH_MAX, JSON_VALUES_MAX_COUNT } from '../../protocol/limits.ts';

/** A frame of the hub: `invalid` is answered with `error`, `answer` with nothing. */
export type HubMessage =
  | { readonly kind: 'request'; readonly request: RpcRequest }
  | { readonly kind: 'notification'; readonly notification: RpcNotification }
  | { readonly kind: 'answer' }
  | { readonly kind: 'invalid'; readonly id: string | null; readonly error: TomoError };

const EXCESS = {
  depth: `Messages nest at most ${JSON_DEPTH_MAX} deep.`,
  values: `Messages hold at most ${JSON_VALUES_MAX_COUNT} values.`,
};

const answerSchema = z.union([
  z.object({ result: z.unknown() }).refine((value) => 'result' in value),
  z.object({ error: z.object({}) }),
]);
const idSchema = z.object({ id: requestSchema.shape.id });

export function parseHubMessage(text: string, isBinary: boolean): HubMessage {
  if (isBinary) return invalid(null, 'INVALID_REQUEST', 'Messages are text frames.');
  const excess = jsonExcess(text);
  if (excess !== undefined) return invalid(null, 'INVALID_REQUEST', EXCESS[excess]);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return invalid(null, 'PARSE_ERROR', 'The message is not JSON.');
  }
  const request = requestSchema.safeParse(value);
  if (request.success) return { kind: 'request', request: request.data };
  const notification = notificationSchema.safeParse(value);
  if (notification.success) return { kind: 'notification', notification: notification.data };
  // Answering an answer could go on for ever.
  if (answerSchema.safeParse(value).success) return { kind: 'answer' };
  const id = idSchema.safeParse(value).data?.id ?? null;
  return invalid(id, 'INVALID_REQUEST', 'The message is no JSON-RPC 2.0 request with a string id.');
}

function invalid(
  id: string | null,
  name: 'PARSE_ERROR' | 'INVALID_REQUEST',
  message: string,
): HubMessage {
  return { kind: 'invalid', id, error: new TomoError(name, message) };
}
