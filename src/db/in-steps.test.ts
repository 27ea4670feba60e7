import { setImmediate } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { slowClock } from '../../test/support/slow-clock.ts';
import { temporaryDatabase } from '../../test/support/temporary-database.ts';
import { inSteps } from './in-steps.ts';

it('shares a turn of the loop neither with the next step nor with other works', async () => {
  const { connection } = temporaryDatabase();
  slowClock();
  let turn = 0;
  const turns: number[] = [];
  const work = (steps: number) => () => {
    turns.push(turn);
    steps -= 1;
    return steps > 0;
  };
  const works = Promise.all([5, 5, 5].map((steps) => inSteps(connection, undefined, work(steps))));
  let isOver = false;
  const counting = (async () => {
    while (!isOver) {
      await setImmediate();
      turn += 1;
    }
  })();
  expect(await works).toEqual([true, true, true]);
  isOver = true;
  await counting;
  expect(turns).toHaveLength(15);
  expect(new Set(turns).size).toBe(15);
});

it('ends before its next step when it is aborted', async () => {
  const { connection } = temporaryDatabase();
  slowClock();
  const closing = new AbortController();
  const step = vi.fn(() => {
    closing.abort();
    return true;
  });
  expect(await inSteps(connection, closing.signal, step)).toBe(false);
  expect(step).toHaveBeenCalledTimes(1);
});
