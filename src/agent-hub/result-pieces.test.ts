import { describe, expect, it } from 'vitest';
import { FRAME_MAX_BYTES, JSON_DEPTH_MAX, PIECE_MAX_BYTES } from '../../protocol/limits.ts';
import { ResultPieces } from './result-pieces.ts';

const INVALID = { response: { id: 'a', error: { code: 1009 } } };
const PIECE = 'x'.repeat(PIECE_MAX_BYTES);

function answerIn(pieces: ResultPieces, id: string, count: number) {
  return pieces.complete({ jsonrpc: '2.0', id, result: null, pieces: count }, 4);
}

describe('a result in pieces', () => {
  it('is what it would be whole, with its own size', () => {
    const pieces = new ResultPieces();
    const texts = ['{"a":', '"é€', '"}'];
    for (const text of texts) expect(pieces.add('a', text)).toBe(true);
    expect(answerIn(pieces, 'a', 3)).toEqual({
      response: { jsonrpc: '2.0', id: 'a', result: { a: 'é€' } },
      bytes: Buffer.byteLength(texts.join('')),
    });
  });

  it('is forgotten with its room when its socket closes', () => {
    const pieces = new ResultPieces();
    const most = (2 * FRAME_MAX_BYTES) / (PIECE_MAX_BYTES + 64);
    for (let count = 1; count < most; count += 1) pieces.add(`${count % 3}`, PIECE);
    expect(pieces.add('a', PIECE)).toBe(false);
    pieces.clear();
    expect(answerIn(pieces, '1', 1)).toMatchObject({ response: { error: { code: 1009 } } });
    for (let count = 1; count < most; count += 1) {
      expect(pieces.add(`${count % 3}`, PIECE)).toBe(true);
    }
  });

  const wrong: [string, string[], number][] = [
    ['pieces are missing', ['1'], 2],
    ['there are more than it says', ['1', '2'], 1],
    ['there is none', [], 1],
    ['they are no JSON', ['{"a":', '1'], 2],
    ['they are more than one value', ['1,', '2'], 2],
    [
      'they nest too deep for the message around them',
      ['['.repeat(JSON_DEPTH_MAX), ']'.repeat(JSON_DEPTH_MAX)],
      2,
    ],
    ['they hold too many values', ['[', `${'0,'.repeat(250_000)}0]`], 2],
  ];
  it.each(wrong)('is no valid answer when %s', (_title, texts, count) => {
    const pieces = new ResultPieces();
    for (const text of texts) pieces.add('a', text);
    expect(answerIn(pieces, 'a', count)).toMatchObject(INVALID);
  });

  it('gives way to an answer that has its result itself, or an error', () => {
    const pieces = new ResultPieces();
    pieces.add('a', '1');
    const whole = { jsonrpc: '2.0', id: 'a', result: 2 } as const;
    expect(pieces.complete(whole, 1)).toEqual({ response: whole, bytes: 1 });
    pieces.add('a', '1');
    const error = { jsonrpc: '2.0', id: 'a', error: { code: 1202, message: 'no' } } as const;
    expect(pieces.complete(error, 1)).toEqual({ response: error, bytes: 1 });
    expect(answerIn(pieces, 'a', 1)).toMatchObject(INVALID);
  });

  it('is no larger than one frame may be, and takes no memory past that', () => {
    const pieces = new ResultPieces();
    const fits = FRAME_MAX_BYTES / PIECE_MAX_BYTES;
    for (let count = 0; count < fits; count += 1) expect(pieces.add('a', PIECE)).toBe(true);
    for (let count = 0; count < 3; count += 1) expect(pieces.add('a', 'x')).toBe(false);
    // Its room is there for others.
    for (const id of ['b', 'c']) {
      for (let count = 0; count < fits - 1; count += 1) expect(pieces.add(id, PIECE)).toBe(true);
    }
    expect(answerIn(pieces, 'a', fits + 3)).toMatchObject(INVALID);
  });

  it('shares the room of its socket with the others, single bytes counting for more', () => {
    const pieces = new ResultPieces();
    let count = 0;
    while (pieces.add(`id ${count % 8}`, 'x')) count += 1;
    expect(count).toBeLessThan((2 * FRAME_MAX_BYTES) / 64);
  });

  it('leaves its room when nobody waits for it any more', () => {
    const pieces = new ResultPieces();
    for (let round = 0; round < 20; round += 1) {
      for (let count = 0; count < 100; count += 1) expect(pieces.add('a', PIECE)).toBe(true);
      pieces.drop('a');
    }
    expect(answerIn(pieces, 'a', 100)).toMatchObject(INVALID);
  });
});
