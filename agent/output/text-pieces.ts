import { PIECE_MAX_BYTES } from '../../protocol/limits.ts';

export interface TextPiece {
  readonly text: string;
  /** Of UTF-8. */
  readonly bytes: number;
}

const encoder = new TextEncoder();
const scratch = new Uint8Array(PIECE_MAX_BYTES);

/** Cuts a text into pieces of at most PIECE_MAX_BYTES, never inside a character. */
export function* textPieces(text: string): Generator<TextPiece> {
  for (let at = 0; at < text.length; ) {
    // A surrogate pair that the slice cuts finds no room in the scratch and stays for the next piece.
    const slice = text.slice(at, at + PIECE_MAX_BYTES);
    const { read, written } = encoder.encodeInto(slice, scratch);
    yield { text: slice.slice(0, read), bytes: written };
    at += read;
  }
}
