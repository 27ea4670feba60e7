import { expect, it } from 'vitest';
import { niceStep, timeRangeOf } from './time-range.ts';

it('reads both ends of a range of time as milliseconds', () => {
  expect(timeRangeOf({})).toEqual({ since: undefined, until: undefined });
  expect(timeRangeOf({ since: 1.5, until: '2026-01-31T12:00:00.0009' })).toEqual({
    since: 1_500,
    until: Date.parse('2026-01-31T12:00:00Z'),
  });
  expect(timeRangeOf({ since: '-1h', until: 'now' }, 3_600_005)).toEqual({
    since: 5,
    until: 3_600_005,
  });
});

it('refuses a range that ends before it begins', () => {
  expect(() => timeRangeOf({ since: 'now', until: '-10m' })).toThrow(
    expect.objectContaining({ name: 'INVALID_PARAMS' }),
  );
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
