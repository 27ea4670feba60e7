/**
 * What nobody may have more of, so that all together have at most `max`: whoever has less keeps all of
 * it, and leaves the rest to the others.
 */
export function fairShare(amounts: readonly number[], max: number): number {
  let left = max;
  let count = amounts.length;
  for (const amount of amounts.toSorted((a, b) => a - b)) {
    if (amount * count > left) return Math.floor(left / count);
    left -= amount;
    count -= 1;
  }
  return max;
}
