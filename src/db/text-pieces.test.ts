import { expect, it } from 'vitest';
import { PIECE_MAX_CHARS, piecesOf } from './text-pieces.ts';

it('cuts a text into pieces that end at no half of a character', () => {
  const text = `x${'😀'.repeat(PIECE_MAX_CHARS)}`;
  const pieces = [...piecesOf(text)];
  expect(pieces.length).toBeGreaterThan(2);
  let at = 0;
  for (const piece of pieces) {
    expect(piece.at).toBe(at);
    expect(piece.text.length).toBeLessThanOrEqual(PIECE_MAX_CHARS);
    expect(piece.text.isWellFormed()).toBe(true);
    at += piece.text.length;
  }
  expect(pieces.map((piece) => piece.text).join('')).toBe(text);
});

it('ends with half a character that the text itself ends with', () => {
  expect([...piecesOf('a\ud83d')]).toEqual([{ at: 0, text: 'a\ud83d' }]);
});
