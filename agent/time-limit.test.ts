import { describe, expect, it } from 'vitest';
import { withTimeLimit } from './time-limit.ts';

const never = () => new Promise<never>(() => undefined);
const open = new AbortController().signal;

describe('withTimeLimit', () => {
  it('passes the answer and the error of the work on', async () => {
    expect(await withTimeLimit(10_000, open, async () => 7)).toBe(7);
    const failing = withTimeLimit(10_000, open, async () => {
      throw new RangeError('no');
    });
    await expect(failing).rejects.toBeInstanceOf(RangeError);
  });

  it('ends work that never answers, and tells it by its signal', async () => {
    let told: AbortSignal | undefined;
    const limited = withTimeLimit(10, open, (signal) => {
      told = signal;
      return never();
    });
    await expect(limited).rejects.toHaveProperty('name', 'TimeoutError');
    expect(told?.aborted).toBe(true);
  });

  it('ends the work when the caller gives up', async () => {
    const controller = new AbortController();
    const limited = withTimeLimit(10_000, controller.signal, never);
    controller.abort();
    await expect(limited).rejects.toHaveProperty('name', 'AbortError');
    const late = withTimeLimit(10_000, controller.signal, never);
    await expect(late).rejects.toHaveProperty('name', 'AbortError');
  });
});
