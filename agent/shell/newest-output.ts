import { StringDecoder } from 'node:string_decoder';

// Past this many pieces they are joined, so that a program writing single bytes costs no more memory.
const PIECES_MAX_COUNT = 1_024;

/** The newest bytes of an output of any length, in bounded memory. */
export class NewestOutput {
  readonly #maxBytes: number;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #truncated = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get truncated(): boolean {
    return this.#truncated || this.#bytes > this.#maxBytes;
  }

  push(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    if (this.#bytes > 2 * this.#maxBytes || this.#pieces.length > PIECES_MAX_COUNT) this.#compact();
  }

  /** The text; `cutAtEnd` leaves out a last character of which only the first bytes came. */
  text({ cutAtEnd }: { cutAtEnd: boolean }): string {
    const bytes = this.#compact();
    const decoder = new StringDecoder('utf8');
    const text = decoder.write(this.#truncated ? fromCharacterStart(bytes) : bytes);
    return cutAtEnd ? text : text + decoder.end();
  }

  #compact(): Buffer {
    const all = Buffer.concat(this.#pieces);
    if (all.length > this.#maxBytes) this.#truncated = true;
    // A copy, or the dropped bytes would stay in memory behind the view.
    const kept = Buffer.from(all.subarray(Math.max(0, all.length - this.#maxBytes)));
    this.#pieces = [kept];
    this.#bytes = kept.length;
    return kept;
  }
}

/** Drops the up to three bytes at the start that continue a character cut in two (RFC 3629). */
function fromCharacterStart(bytes: Buffer): Buffer {
  let start = 0;
  while (start < 3 && ((bytes[start] ?? 0) & 0b1100_0000) === 0b1000_0000) start += 1;
  return bytes.subarray(start);
}
