import { PIECE_MAX_BYTES, STREAM_WINDOW_BYTES } from '../../protocol/limits.ts';
import { type TextPiece, textPieces } from './text-pieces.ts';

export type OutputStream = 'stdout' | 'stderr';

/** Output that travels in one message. */
export interface QueuedPiece {
  readonly stream: OutputStream;
  /** Bytes the command had put out before it, on both streams together. */
  readonly at: number;
  text: string;
  bytes: number;
  /** How many texts it was joined from. */
  joined: number;
  /** Given when it is first sent. */
  seq: number | undefined;
}

// Each is a message: a program that changes streams with every byte may not fill the memory with them.
const PIECES_MAX_COUNT = 1_024;
const FLATTEN_AFTER = 256;

/** Output of one command that is not sent yet, and of a lossless one what is not acknowledged. */
export class OutputQueue {
  readonly #isLossless: boolean;
  /** In order of arrival; the first `#sentCount` went out by the present socket. */
  readonly #pieces: QueuedPiece[] = [];
  #sentCount = 0;
  #bytes = 0;
  #position = 0;
  /** Ends of what ever went out and of what was acknowledged. */
  #sentEnd = 0;
  #ackedEnd = 0;

  constructor({ isLossless }: { isLossless: boolean }) {
    this.#isLossless = isLossless;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get unsentCount(): number {
    return this.#pieces.length - this.#sentCount;
  }

  get hasRoom(): boolean {
    return this.#bytes < STREAM_WINDOW_BYTES && this.#pieces.length < PIECES_MAX_COUNT;
  }

  /** Of an output that is not lossless the oldest goes when there is no room. */
  append(stream: OutputStream, text: string): void {
    for (const piece of textPieces(text)) this.#add(stream, piece);
    if (this.#isLossless) return;
    while (this.#bytes > STREAM_WINDOW_BYTES || this.#pieces.length > PIECES_MAX_COUNT) {
      this.#bytes -= this.#pieces.shift()?.bytes ?? 0;
    }
  }

  /** Of the next to send. */
  get nextBytes(): number {
    return this.#pieces[this.#sentCount]?.bytes ?? 0;
  }

  /** The next to send, if the window has room for it. */
  take(windowBytes: number): QueuedPiece | undefined {
    const piece = this.#pieces[this.#sentCount];
    if (piece === undefined) return undefined;
    const end = piece.at + piece.bytes;
    if (this.#isLossless) {
      // One larger than the whole window goes alone, or it would never go.
      const isAlone = piece.at <= this.#ackedEnd;
      if (!isAlone && end - this.#ackedEnd > windowBytes) return undefined;
      this.#sentCount += 1;
    } else {
      this.#pieces.shift();
      this.#bytes -= piece.bytes;
    }
    this.#sentEnd = Math.max(this.#sentEnd, end);
    return piece;
  }

  /** The hub has all before this position. */
  ack(position: number): void {
    this.#ackedEnd = Math.max(this.#ackedEnd, Math.min(position, this.#sentEnd));
    const isTaken = ({ at, bytes }: QueuedPiece): boolean => at + bytes <= this.#ackedEnd;
    for (let first = this.#pieces[0]; first !== undefined && isTaken(first); ) {
      this.#bytes -= first.bytes;
      this.#pieces.shift();
      this.#sentCount = Math.max(0, this.#sentCount - 1);
      first = this.#pieces[0];
    }
  }

  /** What is not acknowledged is to be sent again, perhaps to a hub that knows of no acknowledgement. */
  rewind(): void {
    this.#sentCount = 0;
    this.#ackedEnd = this.#pieces[0]?.at ?? this.#ackedEnd;
  }

  /** Forgets all that it holds; the position stays. */
  clear(): void {
    this.#pieces.length = 0;
    this.#sentCount = 0;
    this.#bytes = 0;
    this.#sentEnd = this.#position;
    this.#ackedEnd = this.#position;
  }

  #add(stream: OutputStream, { text, bytes }: TextPiece): void {
    const last = this.unsentCount > 0 ? this.#pieces.at(-1) : undefined;
    const isJoinable =
      last?.stream === stream && last.seq === undefined && last.bytes + bytes <= PIECE_MAX_BYTES;
    if (isJoinable) join(last, text, bytes);
    else {
      const at = this.#position;
      this.#pieces.push({ stream, at, text, bytes, joined: 1, seq: undefined });
    }
    this.#bytes += bytes;
    this.#position += bytes;
  }
}

function join(piece: QueuedPiece, text: string, bytes: number): void {
  piece.text += text;
  piece.bytes += bytes;
  piece.joined += 1;
  // The engine keeps a sum of strings as a tree of its parts: single bytes would cost 32 times as much.
  if (piece.joined % FLATTEN_AFTER === 0) piece.text = Buffer.from(piece.text).toString();
}
