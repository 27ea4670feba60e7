import { describe, expect, it } from 'vitest';
import { commandText } from './command-text.ts';

const BASE = { command_id: 'c1', duration_ms: 1_234 };

describe('the text of a command', () => {
  it('is the result alone when it succeeded', () => {
    const text = commandText({ ...BASE, status: 'succeeded', result: { exit_code: 0 } });
    expect(JSON.parse(text)).toEqual({ exit_code: 0 });
  });

  it('says of one that runs how far it is, what it put out, and how to go on', () => {
    const text = commandText({
      ...BASE,
      status: 'running',
      progress: { message: 'layer 3', fraction: 0.4 },
      output: {
        offset: 10,
        next_offset: 30,
        parts: [
          { stream: 'stdout', text: 'out' },
          { stream: 'stderr', text: 'oops' },
        ],
        dropped_bytes: 7,
        has_more: true,
      },
    });
    for (const part of ['c1', 'running', 'layer 3 (40 %)', 'get_command', 'cancel_command']) {
      expect(text).toContain(part);
    }
    expect(text).toContain('[Output 10 to 30, 7 bytes dropped]\nout\n[stderr]\noops\n');
    expect(text).toContain('{"command_id": "c1", "offset": 30}');
  });

  it('offers no further output of one that has ended, once all of it was read', () => {
    const output = { offset: 0, next_offset: 3, parts: [], dropped_bytes: 0 };
    const read = (has_more: boolean) =>
      commandText({ ...BASE, status: 'cancelled', output: { ...output, has_more } });
    expect(read(false)).toBe('[Output 0 to 3]\n[end of output]');
    expect(read(true)).toContain('{"command_id": "c1", "offset": 3}');
  });

  it('says how to read the rest of a long result, and of its last part nothing more', () => {
    const part = { ...BASE, status: 'succeeded', result_text: 'abc', truncated: true } as const;
    const more = commandText({ ...part, next_result_offset: 3, result_chars: 9 });
    expect(more).toMatch(/^abc\n.*3 of 9 .*"result_offset": 3/);
    expect(commandText({ ...part, result_chars: 9 })).toBe('abc');
  });

  it('is the error with its code, and the note', () => {
    const error = { code: 1004, name: 'COMMAND_CANCELLED', message: 'stopped' };
    expect(commandText({ ...BASE, status: 'cancelled', error, note: 'Had ended.' })).toBe(
      'COMMAND_CANCELLED (1004): stopped\nHad ended.',
    );
  });

  it('says how it stands if there is nothing else to say', () => {
    expect(commandText({ ...BASE, status: 'lost' })).toBe('Command c1: lost.');
  });
});
