import { describe, expect, it } from 'vitest';
import { engineQueryTime, engineTimeNanos, nowNanos } from './engine-time.ts';
import type { LogMessage } from './log-messages.ts';
import { LogPosition } from './log-position.ts';

type Written = readonly ['out' | 'err', number | string];

/** "10.000000005" and the like are seconds of one minute. */
function message([output, at]: Written): LogMessage {
  const time = typeof at === 'string' ? at : `2020-01-01T00:00:${at.toFixed(9).padStart(12, '0')}Z`;
  const nanos = engineTimeNanos(time);
  return { source: output === 'out' ? 'stdout' : 'stderr', time, nanos, text: Buffer.alloc(0) };
}

function taken(position: LogPosition, ...messages: Written[]): Written[] {
  return messages.filter((written) => position.take(message(written)) !== undefined);
}

const FIRST: Written[] = [
  ['out', 10],
  ['out', 10],
  ['err', 9.9999],
  ['out', 11],
  ['out', 11],
];

describe('LogPosition', () => {
  it('takes everything that comes in one piece, whatever its times', () => {
    const position = new LogPosition({ mayRepeat: false });
    expect(position.since).toBeUndefined();
    expect(taken(position, ...FIRST, ['out', 5])).toEqual([...FIRST, ['out', 5]]);
  });

  it('passes over what comes again, however many messages have one time', () => {
    const position = new LogPosition({ mayRepeat: false });
    taken(position, ...FIRST);
    expect(position.since).toBe(engineTimeNanos('2020-01-01T00:00:10Z'));
    position.again();
    const fresh: Written[] = [
      ['out', 11],
      ['err', 10.5],
      ['out', 12],
      ['err', 10.5],
    ];
    expect(taken(position, ...FIRST, ...fresh)).toEqual(fresh);
    expect(position.gaps).toBe(0);
  });

  it('passes over a line that comes twice in one piece, where logs rotate', () => {
    const time = '2020-01-01T00:00:10.000000001Z';
    const line = (text: string): LogMessage => ({
      source: 'stdout',
      time,
      nanos: engineTimeNanos(time),
      text: Buffer.from(text),
    });
    const messages = ['1\n', '1\n', '2\n', 'part', 'part'].map(line);
    const texts = (mayRepeat: boolean): string[] => {
      const position = new LogPosition({ mayRepeat });
      return messages
        .filter((each) => position.take(each) !== undefined)
        .map(({ text }) => text.toString());
    };
    expect(texts(true)).toEqual(['1\n', '2\n', 'part', 'part']);
    expect(texts(false)).toEqual(messages.map(({ text }) => text.toString()));
  });

  it('passes over older messages of an output that has had none, where the tail was asked for', () => {
    const position = new LogPosition({ mayRepeat: false, isTail: true });
    taken(position, ['out', 20]);
    position.again();
    expect(taken(position, ['err', 19.5], ['out', 20], ['err', 20.5])).toEqual([['err', 20.5]]);
  });

  it.each<[string, Written[]]>([
    ['newer ones of the same output', [['out', 15]]],
    [
      'those of the other output first',
      [
        ['err', 14],
        ['out', 15],
      ],
    ],
    [
      'only some of its time',
      [
        ['out', 11],
        ['out', 15],
      ],
    ],
  ])('notes a gap when the message taken last is not there any more: %s', (_what, messages) => {
    const position = new LogPosition({ mayRepeat: false });
    taken(position, ...FIRST);
    position.again();
    taken(position, ...messages);
    expect(position.gaps).toBe(1);
    taken(position, ['out', 16], ['err', 17]);
    expect(position.gaps).toBe(1);
  });

  it('takes what the other output wrote a little before its first message', () => {
    const position = new LogPosition({ mayRepeat: true });
    expect(taken(position, ['out', 20], ['err', 19.999])).toHaveLength(2);
  });

  it('numbers the messages of one time, also where another reading has left it', () => {
    const first = new LogPosition({ mayRepeat: false });
    const places = (position: LogPosition, ...messages: Written[]) =>
      messages.map((written) => position.take(message(written))?.n);
    expect(places(first, ['out', 10], ['out', 10], ['err', 10], ['out', 11])).toEqual([0, 1, 0, 0]);
    const at = String(engineTimeNanos('2020-01-01T00:00:10Z'));
    const from = { stdout: { at, n: 1 }, stderr: { at, n: 0 } };
    const second = new LogPosition({ mayRepeat: false, from });
    expect(second.since).toBe(engineTimeNanos('2020-01-01T00:00:09Z'));
    second.again();
    const again: Written[] = [...FIRST.slice(0, 2), ['err', 10], ['out', 10], ['err', 11]];
    expect(places(second, ...again)).toEqual([undefined, undefined, undefined, 2, 0]);
    expect(second.gaps).toBe(0);
  });

  it('keeps the last line without end, also over one that came after it', () => {
    const at = '1577836810000000000';
    const from = { stdout: { at: '1577836811000000000', n: 0, unended: { at, bytes: 2 } } };
    const position = new LogPosition({ mayRepeat: false, from });
    expect(position.unended).toEqual({ nanos: BigInt(at), bytes: 2 });
    position.again();
    taken(position, ['out', 11], ['out', 12]);
    expect(position.unended?.bytes).toBe(2);
    position.take({ ...message(['out', 13]), text: Buffer.from('$'), isUnended: true });
    expect(position.unended?.bytes).toBe(1);
  });

  it('says with the first message behind a gap since when lines are lost, also of the other output', () => {
    const position = new LogPosition({ mayRepeat: false });
    taken(position, ['err', 10], ['out', 11]);
    position.again();
    expect(position.take(message(['err', 11.5]))?.lostSince).toBeUndefined();
    const lostSince = engineTimeNanos('2020-01-01T00:00:11Z');
    expect(position.take(message(['err', 12.5]))?.lostSince).toBe(lostSince);
    expect(position.take(message(['out', 12.5]))?.lostSince).toBeUndefined();
    expect(position.gaps).toBe(1);
  });

  it('asks for no time of the future when the clock was set back', () => {
    const position = new LogPosition({ mayRepeat: true });
    taken(position, ['out', '2999-01-01T00:00:00Z']);
    expect(Number((position.since ?? 0n) / 1_000_000n)).toBeLessThan(Date.now());
  });

  it('passes over what an engine repeats unasked where logs rotate', () => {
    const position = new LogPosition({ mayRepeat: true });
    taken(position, ['out', 10], ['out', 10.5], ['out', 11]);
    expect(taken(position, ['out', 10], ['out', 10.5], ['out', 12])).toEqual([['out', 12]]);
  });

  it.each([false, true])(
    'takes what is written after the clock was set back: mayRepeat %s',
    (mayRepeat) => {
      const position = new LogPosition({ mayRepeat });
      const ahead = nowNanos() + 600_000_000n;
      const line = (nanos: bigint, text: string): LogMessage => ({
        source: 'stdout',
        time: '',
        nanos,
        text: Buffer.from(text),
      });
      const written = [0n, 1n, 300n, 599n, 600n, 700n].map((ms) =>
        line(ahead + (ms - 600n) * 1_000_000n, `${ms}\n`),
      );
      position.take(line(ahead, 'ahead\n'));
      const isNew = (each: LogMessage) => position.take(each) !== undefined;
      expect(written.filter(isNew)).toEqual(written);
      // Not what an engine repeats of it, but another line of such a time.
      expect(written.filter(isNew)).toEqual(mayRepeat ? [] : written);
      expect(isNew(line(ahead, 'once more\n'))).toBe(true);
    },
  );

  it('takes the first message of the other output from a little before that of the tail', () => {
    const position = new LogPosition({ mayRepeat: true, isTail: true });
    const messages: Written[] = [
      ['out', 20],
      ['err', 19.999999],
      ['err', 20.5],
    ];
    expect(taken(position, ...messages)).toEqual(messages);
    position.again();
    expect(taken(position, ...messages, ['err', 21])).toEqual([['err', 21]]);
  });

  it('goes on after the clock was set back', () => {
    const position = new LogPosition({ mayRepeat: true });
    taken(position, ['out', '2999-01-01T00:00:00Z'], ['err', '2999-01-01T00:00:00Z']);
    position.again();
    const fresh: Written[] = [
      ['out', 10],
      ['err', 10],
      ['out', 11],
    ];
    expect(taken(position, ...fresh)).toEqual(fresh);
  });
});

describe('times of the engine', () => {
  it.each([
    ['2020-01-01T00:00:00.000000001Z', '1577836800.000000001'],
    ['2020-01-01T01:00:00.5+01:00', '1577836800.500000000'],
    ['2020-01-01T00:00:00Z', '1577836800.000000000'],
  ])('are asked for to the nanosecond: %s', (time, query) => {
    expect(engineQueryTime(engineTimeNanos(time))).toBe(query);
  });

  it('are never before 1970', () => {
    expect(engineQueryTime(-1n)).toBe('0.000000000');
  });
});
