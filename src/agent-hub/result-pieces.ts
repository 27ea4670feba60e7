import { ERROR_CODES } from '../../protocol/errors.ts';
import { jsonExcess } from '../../protocol/json-limits.ts';
import type { RpcResponse } from '../../protocol/json-rpc.ts';
import { FRAME_MAX_BYTES } from '../../protocol/limits.ts';
import type { LateAnswer } from './late-answer.ts';

/** What the pieces of one socket may take together. */
const PIECES_MAX_BYTES = 2 * FRAME_MAX_BYTES;
/** What a piece takes beside its text. */
const PIECE_BYTES = 64;

interface Pieces {
  texts: string[];
  bytes: number;
  /** Kept, and counted against the socket. */
  size: number;
  /** Some were too many and are not kept. */
  isBroken: boolean;
}

/** The results that come in pieces by one socket, until their answers come. */
export class ResultPieces {
  readonly #results = new Map<string, Pieces>();
  #size = 0;

  /** Keeps the next piece of a result. False if it is too much: the answer will be no valid one. */
  add(id: string, text: string): boolean {
    const pieces = this.#results.get(id) ?? { texts: [], bytes: 0, size: 0, isBroken: false };
    this.#results.set(id, pieces);
    if (pieces.isBroken) return false;
    const bytes = Buffer.byteLength(text);
    const size = bytes + PIECE_BYTES;
    if (pieces.bytes + bytes > FRAME_MAX_BYTES || this.#size + size > PIECES_MAX_BYTES) {
      this.#size -= pieces.size;
      Object.assign(pieces, { texts: [], size: 0, isBroken: true });
      return false;
    }
    pieces.texts.push(text);
    pieces.bytes += bytes;
    pieces.size += size;
    this.#size += size;
    return true;
  }

  /** Forgets what came for a call that nobody waits for any more. */
  drop(id: string): void {
    this.#size -= this.#results.get(id)?.size ?? 0;
    this.#results.delete(id);
  }

  /** Forgets everything: no answer comes by this socket any more. */
  clear(): void {
    this.#results.clear();
    this.#size = 0;
  }

  /** The answer with its result, which may have come in pieces; `bytes` is the size of one that has not. */
  complete(response: RpcResponse, bytes: number): LateAnswer {
    const { id } = response;
    const pieces = this.#results.get(id);
    this.drop(id);
    if ('error' in response || response.pieces === undefined) return { response, bytes };
    if (pieces === undefined || pieces.isBroken || pieces.texts.length !== response.pieces) {
      return invalid(id);
    }
    const result = parsed(pieces.texts.join(''));
    if (result === undefined) return invalid(id);
    return { response: { jsonrpc: '2.0', id, result }, bytes: pieces.bytes };
  }
}

/** Undefined if it is no JSON or too much of it; the brackets count for the message around a result. */
function parsed(text: string): unknown {
  if (jsonExcess(`[${text}]`) !== undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function invalid(id: string): LateAnswer {
  const message = 'The pieces of the agent’s answer make no result. The command was carried out.';
  return {
    response: { jsonrpc: '2.0', id, error: { code: ERROR_CODES.INVALID_ANSWER, message } },
    bytes: 0,
  };
}
