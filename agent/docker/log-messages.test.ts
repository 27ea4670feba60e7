import { describe, expect, it } from 'vitest';
import { engineTimeNanos } from './engine-time.ts';
import { FramedLog, type LogMessage, type LogParser, TerminalLog } from './log-messages.ts';

const TIMES = ['2026-11-20T15:38:37.951219930Z', '2026-11-20T15:38:38.000000001Z'] as const;

function frame(source: number, text: string | Buffer): Buffer {
  const body = Buffer.from(text);
  const header = Buffer.from([source, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(body.length, 4);
  return Buffer.concat([header, body]);
}

function parse(parser: LogParser, bytes: Buffer, size: number): string[] {
  const messages: LogMessage[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    messages.push(...parser.take(bytes.subarray(at, at + size)));
  }
  messages.push(...parser.end());
  return messages.map(({ source, time, text }) => `${source} ${time} ${text.toString()}`);
}

describe.each([[1], [7], [1_000], [100_000]])('in chunks of %i bytes', (size) => {
  it('makes a message of every frame', () => {
    const bytes = Buffer.concat([
      frame(1, `${TIMES[0]} one\n`),
      frame(2, `${TIMES[0]} \n`),
      frame(1, ''),
      frame(1, `${TIMES[1]} half`),
      frame(1, `${TIMES[1]} cut off`).subarray(0, -1),
    ]);
    expect(parse(new FramedLog(), bytes, size)).toEqual([
      `stdout ${TIMES[0]} one\n`,
      `stderr ${TIMES[0]} \n`,
      `stdout ${TIMES[1]} half`,
    ]);
  });

  it('cuts a frame of any length at the same places', () => {
    const bytes = Buffer.concat([
      frame(2, `${TIMES[0]} ${'x'.repeat(70_000)}\n`),
      frame(1, `${TIMES[1]} end\n`),
    ]);
    const messages = parse(new FramedLog(), bytes, size);
    expect(messages.map((text) => text.length)).toEqual([32_775, 32_806, 4_534, 42]);
  });

  it('takes apart the lines of a terminal, and pieces of long ones', () => {
    const piece = 'x'.repeat(16_384);
    const bytes = Buffer.from(
      `${TIMES[0]} one\r\n${TIMES[0]} ${piece}${TIMES[0]} ${piece}${TIMES[0]} \r\n` +
        `${TIMES[1]} ${piece}no time\n${TIMES[1]} prompt`,
    );
    expect(parse(new TerminalLog(), bytes, size)).toEqual([
      `stdout ${TIMES[0]} one\r\n`,
      `stdout ${TIMES[0]} ${piece}`,
      `stdout ${TIMES[0]} ${piece}`,
      `stdout ${TIMES[0]} \r\n`,
      `stdout ${TIMES[1]} ${piece}`,
      `stdout ${TIMES[1]} no time\n`,
      `stdout ${TIMES[1]} prompt`,
    ]);
  });

  it('knows a last line without end again when another run has followed', () => {
    const bytes = Buffer.from(`${TIMES[0]} one\n${TIMES[0]} $ ${TIMES[1]} two\n`);
    const unended = { nanos: engineTimeNanos(TIMES[0]), bytes: 2 };
    expect(parse(new TerminalLog(unended), bytes, size)).toEqual([
      `stdout ${TIMES[0]} one\n`,
      `stdout ${TIMES[0]} $ `,
      `stdout ${TIMES[1]} two\n`,
    ]);
  });

  it.each([
    ['frames', () => new FramedLog(), frame(1, 'Error grabbing logs: invalid character\n')],
    ['a terminal', () => new TerminalLog(), Buffer.from('Error grabbing logs: unexpected EOF\n')],
  ])('says what the engine writes between messages: %s', (_what, parser, bytes) => {
    expect(() => parse(parser(), bytes, size)).toThrow(
      expect.objectContaining({
        name: 'DOCKER_REFUSED',
        message: expect.stringContaining('Error grabbing logs'),
      }),
    );
  });
});
