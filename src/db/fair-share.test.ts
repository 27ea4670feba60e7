import { expect, it } from 'vitest';
import { fairShare } from './fair-share.ts';

it.each([
  [[1, 2, 3], 6, 6],
  [[5, 1, 5], 7, 3],
  [[4, 4, 4], 9, 3],
  [[10], 4, 4],
  [[], 4, 4],
])('of %j within %i is %i', (amounts, max, share) => {
  expect(fairShare(amounts, max)).toBe(share);
  const kept = amounts.map((amount) => Math.min(amount, share));
  expect(kept.reduce((sum, amount) => sum + amount, 0)).toBeLessThanOrEqual(max);
});
