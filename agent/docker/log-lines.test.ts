import { describe, expect, it } from 'vitest';
import { LOG_LINE_MAX_BYTES } from '../../protocol/limits.ts';
import { type LineFilter, LogLines } from './log-lines.ts';
import type { LogMessage } from './log-messages.ts';

function passed(filter: Partial<LineFilter>, ...messages: (readonly [string, string, string])[]) {
  const lines = new LogLines({ ignoreCase: false, timestamps: false, ...filter });
  const out: string[] = [];
  for (const [source, time, text] of messages) {
    const line = lines.take({
      source: source as LogMessage['source'],
      time,
      nanos: 0n,
      text: Buffer.from(text),
    });
    if (line !== undefined) out.push(`${line.source}: ${line.text.toString()}`);
  }
  return [
    ...out,
    '|',
    ...lines.end('\n').map(({ source, text }) => `${source}: ${text.toString()}`),
  ];
}

describe('LogLines', () => {
  it('keeps a line whole that the other output comes into', () => {
    expect(
      passed(
        { timestamps: true },
        ['stdout', 't1', 'long '],
        ['stderr', 't2', 'error\n'],
        ['stdout', 't3', 'line\n'],
      ),
    ).toEqual(['stderr: t2 error\n', 'stdout: t1 long line\n', '|']);
  });

  it('ends a line that gets no end', () => {
    expect(passed({}, ['stdout', 't', 'one\n'], ['stderr', 't', 'prompt'])).toEqual([
      'stdout: one\n',
      '|',
      'stderr: prompt\n',
    ]);
    expect(passed({ grep: 'x' }, ['stderr', 't', 'prompt'])).toEqual(['|']);
  });

  it.each([
    [{ grep: 'Fehler: ü' }, 1],
    [{ grep: 'fehler: Ü' }, 0],
    [{ grep: 'fehler: Ü', ignoreCase: true }, 1],
    [{ grep: 'F.*ü' }, 0],
    // The time is not what is looked through.
    [{ grep: '2026', timestamps: true }, 0],
  ])('passes on what holds a literal text: %j', (filter, count) => {
    const lines = passed(filter, ['stdout', '2026', 'ein Feh'], ['stdout', '2026', 'ler: ü!\n']);
    expect(lines.length - 1).toBe(count);
  });

  it('passes a line without end on in pieces', () => {
    const piece = 'x'.repeat(LOG_LINE_MAX_BYTES / 2);
    const lines = passed(
      {},
      ['stdout', 't', piece],
      ['stdout', 't', piece],
      ['stdout', 't', 'y\n'],
    );
    expect(lines.map((line) => line.length)).toEqual([8 + LOG_LINE_MAX_BYTES, 10, 1]);
  });
});
