import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Streams } from '../../protocol/commands/define-command.ts';
import type { TomoError } from '../../protocol/errors.ts';
import {
  DETACHED_MAX_MS,
  OUTPUT_KEPT_MAX_BYTES,
  PIECE_MAX_BYTES,
  STREAM_WINDOW_BYTES,
} from '../../protocol/limits.ts';
import { eventually } from '../../test/support/hub.ts';
import { CommandOutputs } from './command-outputs.ts';

const PIECE = 'x'.repeat(PIECE_MAX_BYTES);
const ALL = { offset: 0, maxChars: 10_000_000 };
const NEVER = new AbortController().signal;

interface Made {
  readonly unreadMaxMs?: number;
  readonly overallMaxBytes?: number;
  readonly isAway?: boolean;
}

function makeOutputs({ unreadMaxMs = 600_000, isAway = false, ...more }: Made = {}) {
  const abandoned: { id: string; why: TomoError }[] = [];
  const outputs = new CommandOutputs({
    unreadMaxMs,
    ...more,
    abandon: (_agentId, id, why) => {
      abandoned.push({ id, why });
      return !isAway;
    },
  });
  onTestFinished(() => outputs[Symbol.dispose]());
  return { outputs, abandoned };
}

/** A command whose pieces are sent one after the other as an agent would. */
function command(outputs: CommandOutputs, mode: Streams, id = 'c1', agentId = 'a1') {
  outputs.open(id, { agentId, mode });
  const acks: number[] = [];
  let at = 0;
  let seq = 0;
  return {
    acks,
    put: (data: string, stream: 'stdout' | 'stderr' = 'stdout') => {
      const taking = outputs.take(agentId, { id, seq, stream, data, at }, (n) => acks.push(n));
      at += Buffer.byteLength(data);
      seq += 1;
      return taking;
    },
  };
}

function textOf(outputs: CommandOutputs, id: string, offset = 0): string | undefined {
  const page = outputs.read(id, { ...ALL, offset });
  return page?.parts.map(({ text }) => text).join('');
}

describe('a lossless output', () => {
  it('is taken as it is read, and can be read again from where it was not', () => {
    const { outputs } = makeOutputs();
    const { put, acks } = command(outputs, 'lossless');
    put('one ');
    put('two ', 'stderr');
    const page = outputs.read('c1', { offset: 0, maxChars: 4 });
    expect(page).toMatchObject({ nextOffset: 4, hasMore: true });
    expect(textOf(outputs, 'c1', 0)).toBe('one two ');
    expect(acks).toEqual([]);
    expect(textOf(outputs, 'c1', 4)).toBe('two ');
    expect(textOf(outputs, 'c1', 4)).toBe('two ');
    expect(acks).toEqual([4]);
    expect(textOf(outputs, 'c1', 8)).toBe('');
    expect(acks).toEqual([4, 8]);
    expect(outputs.bytes).toBe(0);
  });

  it('holds no more than its window, whatever its agent sends', () => {
    const { outputs } = makeOutputs();
    const { put } = command(outputs, 'lossless');
    for (let bytes = 0; bytes < STREAM_WINDOW_BYTES; bytes += PIECE.length) {
      expect(put(PIECE)).toBe('asked');
    }
    expect(put('x')).toBe('stray');
    expect(outputs.bytes).toBeLessThan(STREAM_WINDOW_BYTES * 1.1);
    outputs.read('c1', { offset: PIECE.length, maxChars: 1 });
    expect(put('y')).toBe('told');
    expect(outputs.read('c1', { ...ALL, offset: PIECE.length })).toMatchObject({ droppedBytes: 1 });
  });

  it('takes a bounded room also if its agent changes streams with every byte', () => {
    const { outputs } = makeOutputs();
    const { put } = command(outputs, 'lossless');
    let count = 0;
    while (put('x', count % 2 === 0 ? 'stdout' : 'stderr') === 'told') count += 1;
    expect(count).toBeLessThan(STREAM_WINDOW_BYTES);
    expect(outputs.bytes).toBeLessThan(OUTPUT_KEPT_MAX_BYTES * 1.1);
  });

  it('skips what is sent again on a new socket, and says there what was taken', () => {
    const { outputs } = makeOutputs();
    const { put, acks } = command(outputs, 'lossless');
    put('one ');
    put('two ');
    textOf(outputs, 'c1', 4);
    const again: number[] = [];
    const piece = { id: 'c1', seq: 1, stream: 'stdout', data: 'two ', at: 4 } as const;
    expect(outputs.take('a1', piece, (bytes) => again.push(bytes))).toBe('told');
    expect(again).toEqual([4]);
    expect(textOf(outputs, 'c1', 4)).toBe('two ');
    textOf(outputs, 'c1', 8);
    expect([acks, again]).toEqual([[4], [4, 8]]);
  });

  it('of an earlier hub goes on where its agent goes on', () => {
    const { outputs } = makeOutputs();
    outputs.open('c1', { agentId: 'a1', mode: 'lossless', isUnderWay: true });
    expect(outputs.read('c1', { ...ALL, offset: 100 })).toMatchObject({ offset: 100, parts: [] });
    const acks: number[] = [];
    const at = 10 * STREAM_WINDOW_BYTES;
    const piece = { id: 'c1', seq: 70, stream: 'stdout', data: 'on', at } as const;
    outputs.take('a1', piece, (bytes) => acks.push(bytes));
    expect(outputs.read('c1', ALL)).toMatchObject({ offset: at, droppedBytes: at });
    outputs.read('c1', { ...ALL, offset: at + 2 });
    expect(acks).toEqual([at + 2]);
  });

  it('that nobody reads ends its command, once, and says why', async () => {
    const { outputs, abandoned } = makeOutputs({ unreadMaxMs: 50 });
    command(outputs, 'lossless');
    command(outputs, 'newest', 'c2');
    await eventually(() => expect(abandoned).toHaveLength(1));
    expect(abandoned).toMatchObject([
      { id: 'c1', why: { name: 'COMMAND_CANCELLED', facts: { unread_ms: 50 } } },
    ]);
    expect(outputs.read('c2', ALL)).toBeDefined();
  });

  it('that nobody reads ends its command when its agent is back', async () => {
    const { outputs, abandoned } = makeOutputs({ unreadMaxMs: 20, isAway: true });
    command(outputs, 'lossless').put('x');
    await eventually(() => expect(abandoned.length).toBeGreaterThan(1));
    expect(textOf(outputs, 'c1')).toBe('x');
  });

  it('goes on for somebody who waits for it', async () => {
    const { outputs, abandoned } = makeOutputs({ unreadMaxMs: 50 });
    const { put } = command(outputs, 'lossless', 'watched');
    const changed = outputs.changed('watched', NEVER);
    command(outputs, 'lossless', 'unread');
    await eventually(() => expect(abandoned).toHaveLength(1));
    expect(abandoned).toMatchObject([{ id: 'unread' }]);
    put('x');
    await changed;
  });
});

describe('an output of which the newest counts', () => {
  it('is acknowledged at once, keeps the newest and says what was dropped', () => {
    const { outputs } = makeOutputs();
    const { put, acks } = command(outputs, 'newest');
    const count = (2 * OUTPUT_KEPT_MAX_BYTES) / PIECE.length;
    for (let index = 0; index < count; index += 1) expect(put(PIECE)).toBe('told');
    expect(acks.at(-1)).toBe(2 * OUTPUT_KEPT_MAX_BYTES);
    expect(outputs.bytes).toBeLessThanOrEqual(OUTPUT_KEPT_MAX_BYTES);
    const page = outputs.read('c1', ALL);
    expect(page?.droppedBytes).toBe(page?.offset);
    expect(page?.nextOffset).toBe(2 * OUTPUT_KEPT_MAX_BYTES);
    expect(page?.offset).toBeLessThan(1.2 * OUTPUT_KEPT_MAX_BYTES);
  });

  it('can be read from the beginning more than once', () => {
    const { outputs } = makeOutputs();
    const { put } = command(outputs, 'newest');
    put('abc');
    expect(textOf(outputs, 'c1', 3)).toBe('');
    expect(textOf(outputs, 'c1', 0)).toBe('abc');
  });
});

describe('the outputs of all commands', () => {
  it('take a bounded room, for which the longest unread gives way', () => {
    const overallMaxBytes = 8 * 1024 * 1024;
    const { outputs, abandoned } = makeOutputs({ overallMaxBytes });
    const commands = Array.from({ length: 1_000 }, (_, index) =>
      command(outputs, index % 2 === 0 ? 'newest' : 'lossless', `c${index}`, `a${index % 10}`),
    );
    const read = command(outputs, 'lossless', 'read', 'modest');
    read.put(PIECE);
    for (let round = 0; round < 6; round += 1) {
      for (const { put } of commands) put(PIECE);
      expect(outputs.bytes).toBeLessThanOrEqual(overallMaxBytes);
    }
    expect(abandoned.length).toBeGreaterThan(100);
    expect(abandoned[0]?.why).toMatchObject({ name: 'COMMAND_CANCELLED' });
    expect(textOf(outputs, 'read')).toBe(PIECE);
    expect(outputs.read('c0', ALL)).toMatchObject({ offset: 6 * PIECE.length });
  });

  it('give up those of commands that are over before anything else is stopped', () => {
    const { outputs, abandoned } = makeOutputs({ overallMaxBytes: 2.5 * PIECE.length });
    const agents = { first: 'a1', over: 'a2', third: 'a1' };
    for (const [id, agentId] of Object.entries(agents)) {
      command(outputs, 'lossless', id, agentId).put(PIECE);
      if (id === 'over') outputs.ended(id);
    }
    expect(outputs.read('over', ALL)).toBeUndefined();
    expect(textOf(outputs, 'first')).toBe(PIECE);
    expect(abandoned).toEqual([]);
  });
});

describe('a command’s output', () => {
  it('is told of when there is more, a step, or the end', async () => {
    const { outputs } = makeOutputs();
    const { put } = command(outputs, 'newest');
    const output = outputs.changed('c1', NEVER);
    put('x');
    await output;
    const step = outputs.changed('c1', NEVER);
    outputs.take('a1', { id: 'c1', seq: 5, data: 'half', fraction: 0.5 });
    await step;
    const end = outputs.changed('c1', NEVER);
    outputs.ended('c1');
    await end;
    await outputs.changed('c1', NEVER);
    await outputs.changed('unknown', NEVER);
  });

  it('is not waited for past the signal', async () => {
    const { outputs } = makeOutputs();
    command(outputs, 'newest');
    const stop = new AbortController();
    const changed = outputs.changed('c1', stop.signal);
    stop.abort();
    await expect(changed).rejects.toMatchObject({ name: 'COMMAND_CANCELLED' });
  });

  it('shows how far it is: the last step, or the last line', () => {
    const { outputs } = makeOutputs();
    const { put } = command(outputs, 'newest');
    expect(outputs.lastStep('c1')).toBeUndefined();
    expect(outputs.lastStep('unknown')).toBeUndefined();
    put('first\nsecond\n \n');
    expect(outputs.lastStep('c1')).toEqual({ message: 'second' });
    put('10%\r20%');
    expect(outputs.lastStep('c1')).toEqual({ message: '20%' });
    outputs.take('a1', { id: 'c1', seq: 1, fraction: 0.5 });
    outputs.take('a1', { id: 'c1', seq: 2 });
    expect(outputs.lastStep('c1')).toEqual({ message: '', fraction: 0.5 });
    outputs.take('a1', { id: 'c1', seq: 3, data: `${'y'.repeat(9_000)}z` });
    expect(outputs.lastStep('c1')?.message).toMatch(/^y{499}z$/);
  });

  it('stays for a while when the command is over, if there is any', async () => {
    const { outputs } = makeOutputs({ unreadMaxMs: 50 });
    const { put } = command(outputs, 'lossless');
    command(outputs, 'lossless', 'silent');
    put('rest');
    for (const id of ['c1', 'silent', 'unknown']) outputs.ended(id);
    outputs.ended('c1');
    expect(put('more')).toBe('stray');
    expect(outputs.read('silent', ALL)).toBeUndefined();
    expect(textOf(outputs, 'c1')).toBe('rest');
    await eventually(() => expect(outputs.bytes).toBe(0));
    expect(outputs.read('c1', ALL)).toBeUndefined();
  });

  it('is forgotten in the end if nothing is heard of its command', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const { outputs } = makeOutputs();
    const { put } = command(outputs, 'newest');
    put('x');
    const changed = outputs.changed('c1', NEVER);
    vi.advanceTimersByTime(DETACHED_MAX_MS - 600_000);
    expect(textOf(outputs, 'c1')).toBe('x');
    vi.advanceTimersByTime(700_000);
    await changed;
    expect(outputs.read('c1', ALL)).toBeUndefined();
    expect(outputs.bytes).toBe(0);
  });

  it('is opened once', () => {
    const { outputs } = makeOutputs();
    command(outputs, 'newest').put('x');
    outputs.open('c1', { agentId: 'a1', mode: 'newest', isUnderWay: true });
    expect(textOf(outputs, 'c1')).toBe('x');
  });

  const piece = { id: 'c1', seq: 0, stream: 'stdout', data: 'x', at: 0 } as const;
  const strays: [string, Streams, string, Parameters<CommandOutputs['take']>[1]][] = [
    ['another agent’s', 'newest', 'a2', piece],
    ['of no command', 'newest', 'a1', { ...piece, id: 'c2' }],
    ['of a command that streams none', 'none', 'a1', piece],
    ['without its place', 'newest', 'a1', { id: 'c1', seq: 0, stream: 'stdout', data: 'x' }],
    ['without a text', 'newest', 'a1', { id: 'c1', seq: 0, stream: 'stderr', at: 0 }],
    ['too large', 'newest', 'a1', { ...piece, data: `${PIECE}x` }],
    ['at no place', 'newest', 'a1', { ...piece, at: Number.MAX_SAFE_INTEGER }],
  ];
  it.each(strays)('is not taken: %s', (_title, mode, agentId, progress) => {
    const { outputs } = makeOutputs();
    command(outputs, mode);
    expect(outputs.take(agentId, progress)).toBe('stray');
    expect(outputs.read('c1', ALL)).toMatchObject({ parts: [], nextOffset: 0 });
  });
});
