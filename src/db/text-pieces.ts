/** Characters of one piece of a long text: a page is read from two or three of them. */
export const PIECE_MAX_CHARS = 32 * 1024;

interface Piece {
  /** How many characters lie before it. */
  readonly at: number;
  readonly text: string;
}

/** A text in pieces, none of which ends inside a character: SQLite keeps text in UTF-8. */
export function* piecesOf(text: string): Generator<Piece> {
  let at = 0;
  while (at < text.length) {
    let end = at + PIECE_MAX_CHARS;
    if (end < text.length && isFirstHalf(text.charCodeAt(end - 1))) end -= 1;
    yield { at, text: text.slice(at, end) };
    at = end;
  }
}

/** Whether it is the first of the two that make one character in UTF-16. */
function isFirstHalf(code: number): boolean {
  return code >= 0xd800 && code < 0xdc00;
}
