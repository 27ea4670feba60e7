import { describe, expect, it } from 'vitest';
import { CALLS_PER_AGENT_MAX_COUNT } from '../../protocol/limits.ts';
import { PendingCalls } from './pending-calls.ts';

const HOUR_MS = 3_600_000;

describe('the latest deadline', () => {
  it('is that of the calls in flight, and none once they are answered', async () => {
    const calls = new PendingCalls();
    expect(calls.latestDeadline).toBeUndefined();
    const [short, long] = [wait(calls, 'short', HOUR_MS), wait(calls, 'long', 2 * HOUR_MS)];
    expect(calls.latestDeadline).toBeGreaterThan(performance.now() + HOUR_MS);
    calls.resolve('long', 1);
    expect(calls.latestDeadline).toBeLessThanOrEqual(performance.now() + HOUR_MS);
    calls.resolve('short', 2);
    expect(calls.latestDeadline).toBeUndefined();
    await expect(Promise.all([short, long])).resolves.toEqual([2, 1]);
  });

  it('outlives a call that was given up, until its answer comes after all', async () => {
    const calls = new PendingCalls();
    await givenUp(calls, 'c1', HOUR_MS);
    expect(calls.count).toBe(0);
    expect(calls.latestDeadline).toBeGreaterThan(performance.now());
    expect(calls.resolve('c1', 1)).toBe(false);
    expect(calls.latestDeadline).toBeUndefined();
  });

  it('is remembered for a bounded number of calls, the oldest forgotten first', async () => {
    const calls = new PendingCalls();
    await givenUp(calls, 'oldest', 2 * HOUR_MS);
    for (let count = 1; count < 2 * CALLS_PER_AGENT_MAX_COUNT; count += 1) {
      await givenUp(calls, `c${count}`, HOUR_MS);
    }
    expect(calls.latestDeadline).toBeGreaterThan(performance.now() + HOUR_MS);
    await givenUp(calls, 'one too many', HOUR_MS);
    expect(calls.latestDeadline).toBeLessThanOrEqual(performance.now() + HOUR_MS);
  });
});

function wait(calls: PendingCalls, id: string, timeoutMs: number): Promise<unknown> {
  return calls.wait({ id, timeoutMs, signal: undefined, onGivenUp: () => true });
}

async function givenUp(calls: PendingCalls, id: string, timeoutMs: number): Promise<void> {
  const caller = new AbortController();
  let told = 0;
  const call = calls.wait({
    id,
    timeoutMs,
    signal: caller.signal,
    onGivenUp: () => {
      told += 1;
      return true;
    },
  });
  caller.abort();
  await expect(call).rejects.toMatchObject({ name: 'COMMAND_CANCELLED' });
  expect(told).toBe(1);
}
