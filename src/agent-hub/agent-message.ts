import { jsonExcess } from '../../protocol/json-limits.ts';
import {
  notificationSchema,
  type RpcNotification,
  type RpcResponse,
  requestSchema,
  responseSchema,
} from '../../protocol/json-rpc.ts';

export type AgentMessage =
  | { readonly kind: 'response'; readonly response: RpcResponse }
  | { readonly kind: 'notification'; readonly notification: RpcNotification }
  | { readonly kind: 'request'; readonly id: string; readonly method: string };

/** A frame of an authenticated agent, or undefined if it is no valid message or too much of one. */
export function parseAgentMessage(text: string): AgentMessage | undefined {
  if (jsonExcess(text) !== undefined) return undefined;
  const value = parseJson(text);
  if (typeof value !== 'object' || value === null) return undefined;
  if (!('method' in value)) {
    const response = responseSchema.safeParse(value);
    return response.success ? { kind: 'response', response: response.data } : undefined;
  }
  if (!('id' in value)) {
    const notification = notificationSchema.safeParse(value);
    return notification.success
      ? { kind: 'notification', notification: notification.data }
      : undefined;
  }
  const request = requestSchema.safeParse(value);
  return request.success
    ? { kind: 'request', id: request.data.id, method: request.data.method }
    : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
