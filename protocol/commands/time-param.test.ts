import { expect, it } from 'vitest';
import { readTime, readTimeSpan, timeParam } from './time-param.ts';

const NOW_MS = 1_800_000_000_000;

it.each([
  ['2027-01-15T08:00:00Z', 1_800_000_000_000_000_000n],
  ['2027-01-15 08:00', 1_800_000_000_000_000_000n],
  ['2027-01-15T09:30:00.5+01:30', 1_800_000_000_500_000_000n],
  ['2027-01-15T08:00:00.123456789Z', 1_800_000_000_123_456_789n],
  ['2027-01-15', 1_799_971_200_000_000_000n],
  [1_800_000_000, 1_800_000_000_000_000_000n],
  [1_800_000_000.25, 1_800_000_000_250_000_000n],
  ['1800000000.000000001', 1_800_000_000_000_000_001n],
  ['10m', 1_799_999_400_000_000_000n],
  ['1h30m', 1_799_994_600_000_000_000n],
  ['2w1d5s', 1_798_703_995_000_000_000n],
  ['-10m', 1_799_999_400_000_000_000n],
  ['-1h30m', 1_799_994_600_000_000_000n],
  ['7d', 1_799_395_200_000_000_000n],
  ['now', 1_800_000_000_000_000_000n],
  ['999999999w', 0n],
])('reads %s', (value, expected) => {
  expect(readTime(value, NOW_MS)).toBe(expected);
  expect(timeParam.safeParse(value).success).toBe(true);
});

it.each([
  ['yesterday'],
  ['2027-13-01'],
  ['10 m'],
  ['+10m'],
  ['--10m'],
  ['-'],
  ['m'],
  [''],
  ['-5'],
  [-1],
  ['1e9'],
  [Number.NaN],
])('takes %j for no time, and says what it takes', (value) => {
  const { error } = timeParam.safeParse(value);
  expect(error).toBeDefined();
  if (typeof value === 'string') expect(error?.issues[0]?.message).toMatch(/ISO.*"-10m".*"now"/);
});

it('reads a span of time that ends after it begins', () => {
  expect(readTimeSpan({})).toEqual({ since: undefined, until: undefined });
  expect(readTimeSpan({ since: 1, until: 2 })).toEqual({
    since: 1_000_000_000n,
    until: 2_000_000_000n,
  });
  expect(() => readTimeSpan({ since: '1m', until: '2m' })).toThrow(
    expect.objectContaining({ name: 'INVALID_PARAMS' }),
  );
});
