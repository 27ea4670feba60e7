import { TomoError } from '../../protocol/errors.ts';
import { jsonExcess } from '../../protocol/json-limits.ts';
import { encodeError, encodeResult } from '../../protocol/json-rpc.ts';
import { PIECE_MAX_BYTES } from '../../protocol/limits.ts';
import { textPieces } from './text-pieces.ts';

/** What a command ended with, as it goes to a hub. */
export class Answer {
  readonly id: string;
  /** The whole message. */
  readonly text: string;
  readonly bytes: number;
  /** The number of its first piece among the messages of its command. */
  readonly firstSeq: number;
  /** Where the JSON of the result begins in the text. */
  readonly #resultAt: number | undefined;

  private constructor(id: string, text: string, firstSeq = 0, resultAt?: number) {
    this.id = id;
    this.text = text;
    this.bytes = Buffer.byteLength(text);
    this.firstSeq = firstSeq;
    this.#resultAt = resultAt;
  }

  /** @throws TomoError RESULT_TOO_LARGE, and what JSON.stringify throws */
  static result(id: string, value: unknown, firstSeq: number, limit: number): Answer {
    const text = encodeResult(id, value);
    const answer = new Answer(id, text, firstSeq, encodeResult(id, null).lastIndexOf('null}'));
    if (answer.bytes > limit) throw tooLarge(`is larger than ${limit} bytes`, { limit });
    const excess = jsonExcess(text);
    if (excess !== undefined) throw tooLarge(`has too many ${excess}`, { excess });
    return answer;
  }

  static error(id: string, error: TomoError): Answer {
    return new Answer(id, encodeError(id, error));
  }

  /** Whether it is to go in pieces where the hub takes them. */
  get isLarge(): boolean {
    return this.#resultAt !== undefined && this.bytes > PIECE_MAX_BYTES;
  }

  /** The JSON of the result, cut. */
  *pieces(): Generator<string> {
    for (const { text } of textPieces(this.text.slice(this.#resultAt, -1))) yield text;
  }
}

function tooLarge(how: string, facts: Record<string, unknown>): TomoError {
  const text = `The answer ${how}. Ask for less: filter, or take a part.`;
  return new TomoError('RESULT_TOO_LARGE', text, { facts });
}
