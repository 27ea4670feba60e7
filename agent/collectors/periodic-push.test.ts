import { pino } from 'pino';
import { describe, expect, it, vi } from 'vitest';
import { PeriodicPush, type PeriodicPushOptions } from './periodic-push.ts';

interface Started {
  readonly push: PeriodicPush;
  readonly pushed: object[];
  readonly lines: string[];
}

function start(options: Partial<PeriodicPushOptions> = {}): Started {
  const pushed: object[] = [];
  const lines: string[] = [];
  const push = new PeriodicPush({
    name: 'test',
    measure: async () => ({ ok: true }),
    push: (measured) => {
      pushed.push(measured);
    },
    intervalMs: () => 5,
    firstAfterMs: 1,
    log: pino({}, { write: (line: string) => lines.push(line) }),
    ...options,
  });
  return { push, pushed, lines };
}

describe('PeriodicPush', () => {
  it('pushes again and again until it is disposed of', async () => {
    const { push, pushed } = start();
    await vi.waitUntil(() => pushed.length >= 3);
    push[Symbol.dispose]();
    expect(pushed[2]).toEqual({ ok: true });
  });

  it('logs a measurement that fails and goes on with the next', async () => {
    let measurements = 0;
    const { push, pushed, lines } = start({
      measure: async () => {
        measurements += 1;
        if (measurements === 1) throw new RangeError('no');
        return {};
      },
    });
    await vi.waitUntil(() => pushed.length > 0);
    push[Symbol.dispose]();
    expect(lines[0]).toContain('RangeError');
  });

  it('never measures twice at once', async () => {
    let atOnce = 0;
    let most = 0;
    const { push, pushed } = start({
      intervalMs: () => 0,
      measure: async () => {
        atOnce += 1;
        most = Math.max(most, atOnce);
        await new Promise(setImmediate);
        atOnce -= 1;
        return {};
      },
    });
    await vi.waitUntil(() => pushed.length > 5);
    push.reschedule();
    await vi.waitUntil(() => pushed.length > 10);
    push[Symbol.dispose]();
    expect(most).toBe(1);
  });

  it('takes a new interval at once when it is rescheduled', async () => {
    let intervalMs = 1_000_000;
    const { push, pushed } = start({ intervalMs: () => intervalMs });
    await vi.waitUntil(() => pushed.length === 1);
    intervalMs = 1;
    push.reschedule();
    await vi.waitUntil(() => pushed.length > 2);
    push[Symbol.dispose]();
  });

  it('neither pushes nor logs a measurement that ends after it was disposed of', async () => {
    const measured = [Promise.withResolvers<object>(), Promise.withResolvers<object>()];
    const signals: AbortSignal[] = [];
    const starts = measured.map(({ promise }) =>
      start({
        measure: async (signal) => {
          signals.push(signal);
          return await promise;
        },
      }),
    );
    await vi.waitUntil(() => signals.length === 2);
    for (const { push } of starts) push[Symbol.dispose]();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
    measured[0]?.resolve({});
    measured[1]?.reject(new Error('late'));
    await new Promise(setImmediate);
    expect(starts.flatMap(({ pushed, lines }) => [...pushed, ...lines])).toEqual([]);
  });
});
