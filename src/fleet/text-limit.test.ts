import { describe, expect, it } from 'vitest';
import { cutText, RESULT_TEXT_MAX_CHARS } from './text-limit.ts';

describe('cutText', () => {
  it('leaves a text that fits alone', () => {
    expect(cutText('x'.repeat(RESULT_TEXT_MAX_CHARS))).toBeUndefined();
  });

  it('cuts after a whole line', () => {
    const cut = cutText('line\n'.repeat(20_000));
    expect(cut?.endsWith('\nline')).toBe(true);
    expect(cut?.length).toBeGreaterThan(RESULT_TEXT_MAX_CHARS - 10);
  });

  it('cuts after a whole line of a command’s output within its JSON', () => {
    const text = JSON.stringify({ stdout: 'line\n'.repeat(20_000), exit_code: 0 }, null, 1);
    const cut = cutText(text);
    expect(cut?.endsWith('\\nline')).toBe(true);
    expect(cut?.length).toBeGreaterThan(RESULT_TEXT_MAX_CHARS - 10);
  });

  it('cuts to a limit of its caller', () => {
    expect(cutText('one\ntwo\nthree', 9)).toBe('one\ntwo');
    expect(cutText('one', 0)).toBe('');
  });

  it('cuts one long line in its middle, but never inside a character', () => {
    const cut = cutText(`{\n "stdout": "${'😀'.repeat(RESULT_TEXT_MAX_CHARS)}`);
    expect(cut?.length).toBeGreaterThan(RESULT_TEXT_MAX_CHARS - 2);
    expect(cut?.isWellFormed()).toBe(true);
  });
});
