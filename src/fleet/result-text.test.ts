import { describe, expect, it } from 'vitest';
import { CATALOGUE } from '../../protocol/commands/catalogue.ts';
import { keptResult, resultPart, resultText } from './result-text.ts';

describe('resultPart', () => {
  it('gives all of a text in parts, each cut after a whole line and never inside a character', () => {
    const text = resultText({ stdout: 'line 😀\n'.repeat(20_000), more: '😀'.repeat(60_000) });
    const parts: string[] = [];
    for (let offset: number | undefined = 0; offset !== undefined; ) {
      const part = resultPart(text, offset);
      expect(part.text.isWellFormed()).toBe(true);
      parts.push(part.text);
      offset = part.next;
    }
    expect(parts.join('')).toBe(text);
    expect(parts[0]?.endsWith('\\nline 😀')).toBe(true);
    expect(parts.length).toBeGreaterThan(4);
  });

  it('gives a short text whole', () => {
    expect(resultPart(resultText(null), 0)).toEqual({ text: 'null', next: undefined });
  });
});

describe('keptResult', () => {
  const read = { entry: CATALOGUE['agent.ping'], params: {}, text: '{}', isTaken: true };

  it('is nothing of what only read and was taken whole', () => {
    expect(keptResult(read)).toBeUndefined();
    expect(keptResult({ ...read, isTaken: false })).toBe('{}');
    const text = 'x'.repeat(50_001);
    expect(keptResult({ ...read, text })).toBe(text);
  });

  it('is nothing of what shows values of environments', () => {
    expect(keptResult({ ...read, isTaken: false, params: { reveal_env: true } })).toBeUndefined();
  });

  it('is all else, also of methods that the catalogue does not have', () => {
    expect(keptResult({ ...read, entry: CATALOGUE['system.exec'] })).toBe('{}');
    expect(keptResult({ ...read, entry: undefined })).toBe('{}');
  });
});
