import { describe, expect, it } from 'vitest';
import { PIECE_MAX_BYTES } from '../../protocol/limits.ts';
import { textPieces } from './text-pieces.ts';

describe('textPieces', () => {
  it.each([
    ['one byte each', 'x'],
    ['two', 'é'],
    ['three', '漢'],
    ['four, and two code units', '😀'],
  ])('cuts characters of %s nowhere, whatever stands before them', (_what, character) => {
    for (const before of ['', 'a', 'ab', 'abc']) {
      const text = before + character.repeat(PIECE_MAX_BYTES);
      const pieces = [...textPieces(text)];
      expect(pieces.map((piece) => piece.text).join('') === text).toBe(true);
      for (const { text: piece, bytes } of pieces) {
        expect(Buffer.byteLength(piece)).toBe(bytes);
        expect(piece.isWellFormed()).toBe(true);
        expect(bytes).toBeLessThanOrEqual(PIECE_MAX_BYTES);
      }
      for (const { bytes } of pieces.slice(0, -1))
        expect(bytes).toBeGreaterThan(PIECE_MAX_BYTES - 4);
    }
  });

  it('makes no piece of nothing', () => {
    expect([...textPieces('')]).toEqual([]);
  });
});
