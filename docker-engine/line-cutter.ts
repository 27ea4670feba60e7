const NEWLINE = 0x0a;

/** A line without its end. */
export interface Line {
  readonly data: Buffer;
  /** It was longer: the rest is left out. */
  readonly isCut: boolean;
}

/** Cuts bytes that come in pieces into lines, of which no more than `maxBytes` are kept. */
export class LineCutter {
  readonly #maxBytes: number;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #isCut = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether the line that has begun is too long already. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** The lines that end in this piece. */
  *push(piece: Buffer): Generator<Line> {
    let start = 0;
    for (;;) {
      const end = piece.indexOf(NEWLINE, start);
      if (end === -1) break;
      this.#add(piece.subarray(start, end));
      yield this.#take();
      start = end + 1;
    }
    if (start < piece.length) this.#add(piece.subarray(start));
  }

  /** What has begun and does not end. */
  end(): Line | undefined {
    return this.#bytes === 0 ? undefined : this.#take();
  }

  #add(part: Buffer): void {
    const kept = part.subarray(0, this.#maxBytes - this.#bytes);
    if (kept.length < part.length) this.#isCut = true;
    if (kept.length === 0) return;
    this.#bytes += kept.length;
    this.#pieces.push(kept);
  }

  #take(): Line {
    const [first = Buffer.alloc(0)] = this.#pieces;
    const data = this.#pieces.length > 1 ? Buffer.concat(this.#pieces) : first;
    const line = { data, isCut: this.#isCut };
    this.#pieces = [];
    this.#bytes = 0;
    this.#isCut = false;
    return line;
  }
}
