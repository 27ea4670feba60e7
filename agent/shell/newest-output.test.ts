import { describe, expect, it } from 'vitest';
import { NewestOutput } from './newest-output.ts';

const WHOLE = { cutAtEnd: false };

describe('NewestOutput', () => {
  it('keeps everything up to the limit', () => {
    const output = new NewestOutput(6);
    output.push(Buffer.from('abc'));
    output.push(Buffer.from('def'));
    expect(output.text(WHOLE)).toBe('abcdef');
    expect(output.truncated).toBe(false);
  });

  it('keeps the newest bytes past the limit and says so', () => {
    const output = new NewestOutput(4);
    for (const letter of 'abcdefghijklmnop') output.push(Buffer.from(letter));
    expect(output.text(WHOLE)).toBe('mnop');
    expect(output.truncated).toBe(true);
  });

  it('keeps the newest of thousands of single bytes', () => {
    const output = new NewestOutput(100_000);
    for (let byte = 0; byte < 5_000; byte += 1) output.push(Buffer.from([97 + (byte % 26)]));
    expect(output.text(WHOLE)).toHaveLength(5_000);
    expect(output.truncated).toBe(false);
  });

  it.each([1, 2, 3, 4])('never starts inside a character (limit %i past it)', (extra) => {
    const output = new NewestOutput(3 + extra);
    output.push(Buffer.from('xx😀end'));
    expect(output.text(WHOLE)).toBe(extra === 4 ? '😀end' : 'end');
  });

  it('joins a character that came in two pieces', () => {
    const output = new NewestOutput(100);
    const bytes = Buffer.from('é');
    output.push(bytes.subarray(0, 1));
    output.push(bytes.subarray(1));
    expect(output.text(WHOLE)).toBe('é');
  });

  it('leaves out an unfinished last character only where the output was cut', () => {
    const output = new NewestOutput(100);
    output.push(Buffer.from([0x61, 0xc3]));
    expect(output.text({ cutAtEnd: true })).toBe('a');
    expect(output.text(WHOLE)).toBe('a\u{FFFD}');
  });
});
