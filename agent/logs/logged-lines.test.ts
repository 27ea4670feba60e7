import { describe, expect, it } from 'vitest';
import { COLLECTED_LINE_MAX_BYTES } from '../../protocol/limits.ts';
import type { LinePlaces, NewMessage } from '../docker/log-position.ts';
import { type LoggedLine, LoggedLines } from './logged-lines.ts';

const AT = 1_700_000_000_000_000_000n;

function message(text: string, more: Partial<NewMessage> = {}): NewMessage {
  return { source: 'stdout', time: '', nanos: AT, n: 0, text: Buffer.from(text), ...more };
}

async function collected(messages: NewMessage[], position: LinePlaces = {}) {
  const handed: LoggedLine[] = [];
  const lines = new LoggedLines(position, async (line) => {
    handed.push(line);
  });
  await lines.take(messages);
  const { length } = handed;
  await lines.end();
  return { handed, length, position: lines.position };
}

const texts = (lines: readonly LoggedLine[]) => lines.map(({ text }) => text);

describe('LoggedLines', () => {
  it('keeps the pieces of a long line together, cuts it, and keeps the place of the last of them', async () => {
    const piece = 'ä'.repeat(COLLECTED_LINE_MAX_BYTES / 2);
    const { handed } = await collected([
      message(piece),
      message('oh\n', { source: 'stderr' }),
      message(piece, { n: 1 }),
      message('end\r\n', { n: 2 }),
      message('next\r\n', { n: 3 }),
    ]);
    expect(texts(handed)).toEqual(['oh', piece, 'next']);
    expect(handed.map(({ isCut }) => isCut)).toEqual([false, true, false]);
    expect(handed[1]?.place).toEqual({ at: String(AT), n: 2 });
  });

  it('leaves out the character that a cut goes through', async () => {
    const { handed } = await collected([message(`x${'ä'.repeat(COLLECTED_LINE_MAX_BYTES / 2)}\n`)]);
    expect(texts(handed)).toEqual([`x${'ä'.repeat(COLLECTED_LINE_MAX_BYTES / 2 - 1)}`]);
  });

  it('makes a line of what got no end, when the next begins or the container has stopped', async () => {
    const { handed, length } = await collected([message('$ '), message('one\n'), message('$ ')]);
    expect(texts(handed)).toEqual(['$ ', 'one', '$ ']);
    expect(length).toBe(2);
  });

  it('keeps how long a last line is that a terminal did not end', async () => {
    const { position } = await collected([message('$ ', { isUnended: true })]);
    const unended = { at: String(AT), bytes: 2 };
    expect(position).toEqual({ stdout: { at: String(AT), n: 0, unended } });
    // The log that is read from a second before on has it once more.
    const { position: next } = await collected([message('one\n', { nanos: AT + 1n })], position);
    expect(next).toEqual({ stdout: { at: String(AT + 1n), n: 0, unended } });
  });

  it('says before the first line behind a gap since when lines are lost, and goes on without that', async () => {
    const lostSince = AT - 5_000_000_000n;
    const { handed, position } = await collected([
      message('begun', { source: 'stderr', nanos: lostSince }),
      message('behind\n', { lostSince }),
    ]);
    expect(handed.map(({ stream, isLost }) => [stream, isLost])).toEqual([
      ['stderr', false],
      ['stdout', true],
      ['stdout', false],
    ]);
    expect(handed[1]?.text).toContain(new Date(Number(lostSince / 1_000_000n)).toISOString());
    expect(handed.map(({ place }) => place)).toEqual([
      { at: String(lostSince), n: 0 },
      { at: String(AT - 1n), n: 0 },
      { at: String(AT), n: 0 },
    ]);
    expect(position.stdout).toEqual({ at: String(AT), n: 0 });
  });

  it('gives a word of lost lines a place of its own, though there is no time left for it', async () => {
    const last = { at: String(AT - 1n), n: 3 };
    const gap = message('behind\n', { lostSince: AT - 1n });
    const { handed } = await collected([gap], { stdout: last });
    expect(handed[0]).toMatchObject({ isLost: true, place: { at: last.at, n: 4 } });
  });

  it('names no time that the hub does not take', async () => {
    const { handed } = await collected([
      message('old\n', { nanos: -1n }),
      message('new\n', { nanos: 10n ** 21n }),
    ]);
    expect(handed.map(({ place }) => place.at)).toEqual(['0', '9'.repeat(20)]);
  });
});
