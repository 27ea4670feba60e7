import { describe, expect, it, onTestFinished } from 'vitest';
import type { Streams } from '../../protocol/commands/define-command.ts';
import { eventually } from '../../test/support/hub.ts';
import { CommandOutputs } from './command-outputs.ts';

const ALL = { offset: 0, maxChars: 10_000_000 };

/** A command’s output, with what its agent is told of it. */
function outputOf(mode: Streams, unreadMaxMs = 600_000) {
  const outputs = new CommandOutputs({ unreadMaxMs, abandon: () => true });
  onTestFinished(() => outputs[Symbol.dispose]());
  outputs.open('c1', { agentId: 'a1', mode });
  const acks: number[] = [];
  let seq = 0;
  const put = (data: string, stream: 'stdout' | 'stderr' = 'stdout') => {
    const at = outputs.end('c1');
    outputs.take('a1', { id: 'c1', seq, stream, data, at }, (bytes) => acks.push(bytes));
    seq += 1;
  };
  return { outputs, put, acks };
}

describe('a page of a lossless output', () => {
  it('gives up nothing for a place that it has not come to', () => {
    const { outputs, put, acks } = outputOf('lossless');
    put('one two');
    expect(outputs.end('c1')).toBe(7);
    expect(outputs.read('c1', { ...ALL, offset: 999 })).toMatchObject({ parts: [] });
    expect(acks).toEqual([]);
    expect(outputs.read('c1', ALL)).toMatchObject({ parts: [{ text: 'one two' }] });
  });

  it('shows without a place what was not taken, and that is not taken by it', () => {
    const { outputs, put, acks } = outputOf('lossless');
    put('one ');
    put('two ');
    outputs.read('c1', { ...ALL, offset: 4 });
    for (const _again of [1, 2]) {
      expect(outputs.read('c1', { maxChars: 2 })).toEqual({
        offset: 4,
        nextOffset: 6,
        parts: [{ stream: 'stdout', text: 'tw' }],
        droppedBytes: 0,
        hasMore: true,
      });
    }
    expect(acks).toEqual([4]);
  });

  it('of a command that is over says to who read it that there is no more', async () => {
    const { outputs, put } = outputOf('lossless', 50);
    put('one');
    outputs.read('c1', { ...ALL, offset: 3 });
    outputs.ended('c1');
    expect(outputs.read('c1', { ...ALL, offset: 3 })).toMatchObject({ parts: [], nextOffset: 3 });
    expect(outputs.bytes).toBeGreaterThan(0);
    await eventually(() => expect(outputs.has('c1')).toBe(false));
    expect(outputs.bytes).toBe(0);
  });
});

describe('a page of an output of which the newest counts', () => {
  it('shows its end without a place, no character cut in two', () => {
    const { outputs, put } = outputOf('newest');
    expect(outputs.read('c1', { maxChars: 5 })).toMatchObject({ offset: 0, nextOffset: 0 });
    put('abc');
    put('😀', 'stderr');
    put('xyz');
    const newest = (maxChars: number) => {
      const page = outputs.read('c1', { maxChars });
      expect(page).toMatchObject({ nextOffset: 10, droppedBytes: 0, hasMore: false });
      return page?.parts.map(({ text }) => text);
    };
    expect(newest(2)).toEqual(['yz']);
    expect(newest(3)).toEqual(['xyz']);
    expect(newest(4)).toEqual(['xyz']);
    expect(newest(6)).toEqual(['c', '😀', 'xyz']);
    expect(newest(100)).toEqual(['abc', '😀', 'xyz']);
  });
});
