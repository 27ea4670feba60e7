import { describe, expect, it } from 'vitest';
import { resultText } from '../agent-hub/result-text.ts';
import { resultPart, stretchOf } from './result-part.ts';

describe('resultPart', () => {
  it('gives all of a text in parts, each cut after a whole line and never inside a character', () => {
    const text = resultText({ stdout: 'line 😀\n'.repeat(20_000), more: '😀'.repeat(60_000) });
    const parts: string[] = [];
    for (let offset: number | undefined = 0; offset !== undefined; ) {
      const part = resultPart(stretchOf(text, offset), offset);
      expect(part.text.isWellFormed()).toBe(true);
      parts.push(part.text);
      offset = part.next;
    }
    expect(parts.join('')).toBe(text);
    expect(parts[0]?.endsWith('\\nline 😀')).toBe(true);
    expect(parts.length).toBeGreaterThan(4);
  });

  it('gives a short text whole', () => {
    expect(resultPart(stretchOf('null', 0), 0)).toEqual({ text: 'null', next: undefined });
  });
});
