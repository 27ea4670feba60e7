import { describe, expect, it } from 'vitest';
import { PIECE_MAX_BYTES, STREAM_WINDOW_BYTES } from '../../protocol/limits.ts';
import { OutputQueue } from './output-queue.ts';

const PIECE = 'x'.repeat(PIECE_MAX_BYTES);

function takeAll(queue: OutputQueue, windowBytes = STREAM_WINDOW_BYTES) {
  const taken: { stream: string; at: number; text: string }[] = [];
  for (;;) {
    const piece = queue.take(windowBytes);
    if (piece === undefined) return taken;
    piece.seq ??= taken.length;
    const { stream, at, text } = piece;
    taken.push({ stream, at, text });
  }
}

describe('OutputQueue', () => {
  it('joins what follows on one stream, and keeps the order of both', () => {
    const queue = new OutputQueue({ isLossless: false });
    queue.append('stdout', 'a');
    queue.append('stdout', 'é');
    queue.append('stderr', 'b');
    queue.append('stdout', 'c');
    expect(takeAll(queue)).toEqual([
      { stream: 'stdout', at: 0, text: 'aé' },
      { stream: 'stderr', at: 3, text: 'b' },
      { stream: 'stdout', at: 4, text: 'c' },
    ]);
  });

  it('joins single bytes to whole pieces', () => {
    const queue = new OutputQueue({ isLossless: false });
    for (let count = 0; count <= PIECE_MAX_BYTES; count += 1) queue.append('stdout', 'x');
    const [first, second] = takeAll(queue);
    expect(first?.text === PIECE).toBe(true);
    expect(second).toEqual({ stream: 'stdout', at: PIECE_MAX_BYTES, text: 'x' });
  });

  it('drops the oldest of what may be dropped, and says so by position', () => {
    const queue = new OutputQueue({ isLossless: false });
    for (let count = 0; count < 10; count += 1) queue.append('stdout', PIECE);
    expect(queue.bytes).toBe(STREAM_WINDOW_BYTES);
    const taken = takeAll(queue);
    expect(taken.map(({ at }) => at / PIECE_MAX_BYTES)).toEqual([6, 7, 8, 9]);
    expect(queue.bytes).toBe(0);
  });

  it('keeps no more pieces than it may, however small they are', () => {
    const queue = new OutputQueue({ isLossless: false });
    for (let count = 0; count < 5_000; count += 1) {
      queue.append(count % 2 === 0 ? 'stdout' : 'stderr', 'x');
    }
    const taken = takeAll(queue);
    expect(taken).toHaveLength(1_024);
    expect(taken.at(-1)).toMatchObject({ at: 4_999 });
  });

  it('has no room for small pieces without end, and drops none of a lossless output', () => {
    const queue = new OutputQueue({ isLossless: true });
    for (let count = 0; queue.hasRoom; count += 1) {
      queue.append(count % 2 === 0 ? 'stdout' : 'stderr', 'x');
    }
    expect(takeAll(queue)).toHaveLength(1_024);
  });

  it('sends no further than the window of a lossless output, and on as that is acknowledged', () => {
    const queue = new OutputQueue({ isLossless: true });
    for (let count = 0; count < 6; count += 1) queue.append('stdout', PIECE);
    expect(queue.hasRoom).toBe(false);
    expect(takeAll(queue)).toHaveLength(4);
    queue.ack(PIECE_MAX_BYTES - 1);
    expect(takeAll(queue)).toHaveLength(0);
    queue.ack(PIECE_MAX_BYTES);
    expect(takeAll(queue)).toMatchObject([{ at: 4 * PIECE_MAX_BYTES }]);
    queue.ack(0);
    queue.ack(5 * PIECE_MAX_BYTES);
    expect(queue.hasRoom).toBe(true);
    expect(queue.bytes).toBe(PIECE_MAX_BYTES);
  });

  it('takes no acknowledgement of what was never sent', () => {
    const queue = new OutputQueue({ isLossless: true });
    for (let count = 0; count < 6; count += 1) queue.append('stdout', PIECE);
    takeAll(queue);
    queue.ack(Number.MAX_SAFE_INTEGER);
    expect(queue.bytes).toBe(2 * PIECE_MAX_BYTES);
    expect(takeAll(queue)).toHaveLength(2);
  });

  it('sends again what is not acknowledged, as it was, and joins nothing to it', () => {
    const queue = new OutputQueue({ isLossless: true });
    queue.append('stdout', 'a');
    queue.append('stderr', 'b');
    const first = takeAll(queue);
    queue.ack(1);
    queue.rewind();
    queue.append('stderr', 'c');
    expect(takeAll(queue)).toEqual([first[1], { stream: 'stderr', at: 2, text: 'c' }]);
    queue.ack(3);
    expect(queue.bytes).toBe(0);
  });

  it('counts the window from the first piece that is sent again: another hub knows no more', () => {
    const queue = new OutputQueue({ isLossless: true });
    for (let count = 0; count < 5; count += 1) queue.append('stdout', PIECE);
    takeAll(queue);
    queue.ack(PIECE_MAX_BYTES + 10);
    expect(takeAll(queue)).toHaveLength(1);
    queue.rewind();
    const places = takeAll(queue).map(({ at }) => at / PIECE_MAX_BYTES);
    expect(places).toEqual([1, 2, 3, 4]);
    queue.append('stdout', 'x');
    expect(takeAll(queue)).toHaveLength(0);
    queue.ack(PIECE_MAX_BYTES + 10);
    expect(takeAll(queue)).toHaveLength(1);
  });

  it('drops what a hub acknowledges that was sent by an earlier socket', () => {
    const queue = new OutputQueue({ isLossless: true });
    queue.append('stdout', 'a');
    takeAll(queue);
    queue.rewind();
    queue.ack(1);
    expect(takeAll(queue)).toEqual([]);
  });

  it('sends a piece alone that is larger than the window', () => {
    const queue = new OutputQueue({ isLossless: true });
    queue.append('stdout', PIECE.repeat(2));
    expect(takeAll(queue, 1_000)).toHaveLength(1);
    queue.ack(PIECE_MAX_BYTES);
    expect(takeAll(queue, 1_000)).toHaveLength(1);
  });

  it('forgets all but its position', () => {
    const queue = new OutputQueue({ isLossless: true });
    for (let count = 0; count < 5; count += 1) queue.append('stdout', PIECE);
    takeAll(queue);
    queue.clear();
    expect(queue.bytes).toBe(0);
    queue.append('stdout', 'x');
    expect(takeAll(queue)).toEqual([{ stream: 'stdout', at: 5 * PIECE_MAX_BYTES, text: 'x' }]);
  });
});
