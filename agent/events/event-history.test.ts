import { describe, expect, it } from 'vitest';
import { EventHistory } from './event-history.ts';

const SECOND = 1_000_000_000n;

describe('EventHistory', () => {
  it('knows what the engine sends again, also of one time', () => {
    const history = new EventHistory();
    expect(['a', 'b', 'a', 'c', 'b'].map((text) => history.isNew(text, SECOND))).toEqual([
      true,
      true,
      false,
      true,
      false,
    ]);
  });

  it('asks again from its beginning on, and then from a little before the latest', () => {
    const history = new EventHistory();
    expect(history.since).toBeUndefined();
    history.begin(20n * SECOND);
    history.begin(30n * SECOND);
    expect(history.since).toBe(20n * SECOND);
    history.isNew('b', 15n * SECOND);
    history.isNew('c', 14n * SECOND);
    expect(history.since).toBe(14n * SECOND);
  });

  it('never asks for what is older than it was to begin with', () => {
    const history = new EventHistory(5n * SECOND);
    history.begin(10n * SECOND);
    expect(history.since).toBe(5n * SECOND);
    history.isNew('a', 5n * SECOND + 1n);
    expect(history.since).toBe(5n * SECOND);
  });

  it('asks for no time of the future when the clock was set back', () => {
    const history = new EventHistory();
    history.isNew('a', 32_000_000_000n * SECOND);
    expect(Number((history.since ?? 0n) / SECOND)).toBeLessThan(Date.now() / 1_000);
  });

  it('keeps a bounded number of events', () => {
    const history = new EventHistory();
    for (let count = 0; count < 1_100; count += 1) history.isNew(String(count), SECOND);
    expect(history.isNew('1099', SECOND)).toBe(false);
    expect(history.isNew('0', SECOND)).toBe(true);
  });
});
