import { expect, it } from 'vitest';
import { LOG_SEARCHES_MAX_COUNT } from '../../protocol/limits.ts';
import { SearchTurns } from './search-turns.ts';

/** A search that ends when it is told to. */
function held(turns: SearchTurns, begun: string[], name: string, signal?: AbortSignal) {
  const { promise, resolve } = Promise.withResolvers<string>();
  const answer = turns.take(() => {
    begun.push(name);
    return promise;
  }, signal);
  return { answer, end: () => resolve(name) };
}

it('runs one search at a time, in the order of their coming, also behind one that fails', async () => {
  const turns = new SearchTurns();
  const begun: string[] = [];
  const first = held(turns, begun, 'first');
  const failing = turns.take(() => Promise.reject(new Error('refused')), undefined);
  const third = held(turns, begun, 'third');
  third.end();
  expect(begun).not.toContain('third');
  first.end();
  expect(await first.answer).toBe('first');
  await expect(failing).rejects.toThrow('refused');
  expect(await third.answer).toBe('third');
  expect(begun).toEqual(['first', 'third']);
});

it('refuses those that are too many until others have ended', async () => {
  const turns = new SearchTurns();
  const all = Array.from({ length: LOG_SEARCHES_MAX_COUNT }, () => held(turns, [], 'one'));
  await expect(held(turns, [], 'more').answer).rejects.toMatchObject({ name: 'LIMIT_REACHED' });
  for (const { end } of all) end();
  await Promise.all(all.map(({ answer }) => answer));
  const again = held(turns, [], 'again');
  again.end();
  expect(await again.answer).toBe('again');
});

it('lets one that is given up go before its turn, which those behind it do not take instead', async () => {
  const turns = new SearchTurns();
  const begun: string[] = [];
  const giving = new AbortController();
  const first = held(turns, begun, 'first');
  const second = held(turns, begun, 'second', giving.signal);
  const third = held(turns, begun, 'third');
  const late = held(turns, begun, 'late', AbortSignal.abort());
  giving.abort();
  await expect(second.answer).rejects.toMatchObject({ name: 'COMMAND_CANCELLED' });
  await expect(late.answer).rejects.toMatchObject({ name: 'COMMAND_CANCELLED' });
  expect(begun).toEqual(['first']);
  first.end();
  third.end();
  await third.answer;
  expect(begun).toEqual(['first', 'third']);
});
