import { expect, it } from 'vitest';
import { RESULT_TEXT_MAX_CHARS } from './text-limit.ts';
import { beginning, fitting } from './text-page.ts';

it('takes as many rows as an answer has room for, whatever they are made of', () => {
  const rows = Array.from({ length: 10_000 }, (_, n) => ({ n, text: 'ok', detail: { a: [1, 2] } }));
  const page = fitting(rows);
  const chars = JSON.stringify({ rows: page }, null, 1).length;
  expect(chars).toBeLessThan(RESULT_TEXT_MAX_CHARS);
  expect(chars).toBeGreaterThan(RESULT_TEXT_MAX_CHARS * 0.9);
  expect(fitting(rows.slice(0, 10))).toHaveLength(10);
});

it('takes one row even if that alone is too long', () => {
  const long = { text: 'x'.repeat(RESULT_TEXT_MAX_CHARS) };
  expect(fitting([long, long])).toEqual([long]);
  expect(fitting([])).toEqual([]);
});

it('cuts an object that is too long, but not inside a character', () => {
  expect(beginning({ a: 1 }, 7)).toBeUndefined();
  expect(beginning(null, 7)).toBeUndefined();
  expect(beginning({ a: '😀😀' }, 7)).toBe('{"a":"');
});
