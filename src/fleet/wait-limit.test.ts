import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { unlessAborted } from './wait-limit.ts';

const never = () => new Promise<string>(() => undefined);

describe('unlessAborted', () => {
  it('gives what the work resolves with, and leaves nothing at the signal', async () => {
    const { signal } = new AbortController();
    const waiting = unlessAborted(Promise.resolve('done'), signal);
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    expect(await waiting).toBe('done');
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('gives undefined when the signal aborts before, or had', async () => {
    const abort = new AbortController();
    const waiting = unlessAborted(never(), abort.signal);
    abort.abort();
    expect(await waiting).toBeUndefined();
    expect(await unlessAborted(never(), abort.signal)).toBeUndefined();
  });

  it('gives what is there already, also if the signal has aborted', async () => {
    expect(await unlessAborted(Promise.resolve('done'), AbortSignal.abort())).toBe('done');
  });

  it('throws what the work throws', async () => {
    const { signal } = new AbortController();
    const failing = unlessAborted(Promise.reject(new RangeError('no')), signal);
    await expect(failing).rejects.toHaveProperty('name', 'RangeError');
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});
