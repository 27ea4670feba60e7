import { jsonExcess } from '../../protocol/json-limits.ts';
import { encodeRequest } from '../../protocol/json-rpc.ts';
import { FRAME_MAX_BYTES, JSON_VALUES_MAX_COUNT } from '../../protocol/limits.ts';
import { requestTooLarge } from './connection-errors.ts';

/** A call on its way to an agent. */
export interface WireCall {
  /** The command's id, also the JSON-RPC id. */
  readonly id: string;
  readonly method: string;
  readonly params: Record<string, unknown>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** See AgentCall. */
  readonly hasRow?: boolean;
}

/** The frame of a call. Throws LIMIT_REACHED if it is more than an agent takes. */
export function encodeCall({ id, method, params }: WireCall): string {
  const request = encodeRequest({ id, method, params });
  // A text has fewer values than characters; how deep the params are is checked before.
  const hasTooManyValues =
    request.length > JSON_VALUES_MAX_COUNT && jsonExcess(request) !== undefined;
  if (hasTooManyValues || Buffer.byteLength(request) > FRAME_MAX_BYTES) {
    throw requestTooLarge(method);
  }
  return request;
}
