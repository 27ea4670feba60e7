import { expect, it } from 'vitest';
import { niceStep, timeOf, timeSchema } from './time-range.ts';

const NOW = Date.parse('2026-01-31T12:00:00Z');

it.each([
  ['now', '2026-01-31T12:00:00Z'],
  ['-90s', '2026-01-31T11:58:30Z'],
  ['-30m', '2026-01-31T11:30:00Z'],
  ['-6h', '2026-01-31T06:00:00Z'],
  ['-7d', '2026-01-24T12:00:00Z'],
  ['-2w', '2026-01-17T12:00:00Z'],
  ['2026-01-31T13:00:00+02:00', '2026-01-31T11:00:00Z'],
])('understands %s as a time', (text, expected) => {
  expect(timeSchema.safeParse(text).success).toBe(true);
  expect(timeOf(text, NOW)).toBe(Date.parse(expected));
});

it.each([
  '',
  'yesterday',
  '-6',
  '6h',
  '-6 h',
  '-1y',
  '2026-01-31',
  '2026-01-31T12:00:00',
  '-9999999h',
])('refuses %j, saying what it takes', (text) => {
  const { error } = timeSchema.safeParse(text);
  expect(error?.issues[0]?.message).toContain('"-6h"');
});

it.each([
  [0.2, 1],
  [60, 60],
  [61, 120],
  [1_440, 1_800],
  [43_201, 86_400],
  [86_401, 172_800],
])('makes a step of %d s one of %d s', (seconds, step) => {
  expect(niceStep(seconds)).toBe(step);
});
