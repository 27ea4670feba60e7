import { expect, it } from 'vitest';
import { WaitingRoom } from './waiting-room.ts';

const room = (max: number, perAddressMax: number) =>
  new WaitingRoom<string>({ max, perAddressMax });

/** Lets `count` guests of an address in; answers who lost their places. */
function fill(waiting: WaitingRoom<string>, address: string, count: number, first = 0): string[] {
  const names = Array.from({ length: count }, (_, i) => `${address}${first + i}`);
  return names.flatMap((name) => waiting.enter(address, name) ?? []);
}

it('takes the place of the one that waits longest of the same address', () => {
  const waiting = room(100, 3);
  expect(fill(waiting, 'a', 3)).toEqual([]);
  expect(fill(waiting, 'b', 3)).toEqual([]);
  expect(fill(waiting, 'a', 2, 3)).toEqual(['a0', 'a1']);
  expect(waiting.size).toBe(6);
});

it('has room again for those that left', () => {
  const waiting = room(100, 2);
  fill(waiting, 'a', 2);
  waiting.leave('a', 'a0');
  waiting.leave('a', 'a0');
  waiting.leave('b', 'a1');
  expect(waiting.size).toBe(1);
  expect(fill(waiting, 'a', 2, 2)).toEqual(['a1']);
});

it('takes a place of the address that has most when all are taken', () => {
  const waiting = room(6, 100);
  fill(waiting, 'a', 1);
  fill(waiting, 'b', 3);
  fill(waiting, 'c', 2);
  expect(fill(waiting, 'd', 1)).toEqual(['b0']);
  expect(fill(waiting, 'd', 1, 1)).toEqual(['c0']);
  expect(fill(waiting, 'd', 1, 2)).toEqual(['d0']);
  expect(waiting.size).toBe(6);
});

it('takes the longest wait where every address has one', () => {
  const waiting = room(3, 100);
  for (const address of ['a', 'b', 'c']) fill(waiting, address, 1);
  expect(fill(waiting, 'd', 1)).toEqual(['a0']);
  expect(fill(waiting, 'e', 1)).toEqual(['b0']);
});

it('finds the address that has most through any comings and goings', () => {
  const waiting = room(50, 1_000);
  const inside = new Map<string, string[]>(Array.from('abcdefgh', (address) => [address, []]));
  // A fixed sequence that looks random (the constants are those of Numerical Recipes).
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return Math.floor((seed / 2 ** 32) * below);
  };
  let evictions = 0;
  for (let i = 0; i < 5_000; i += 1) {
    const address = 'abcdefgh'.charAt(random(8));
    const names = inside.get(address) ?? [];
    if (random(3) === 0) {
      const [gone] = names.splice(random(names.length), 1);
      if (gone !== undefined) waiting.leave(address, gone);
      continue;
    }
    names.push(`${address}${i}`);
    const evicted = waiting.enter(address, `${address}${i}`);
    const most = Math.max(...Array.from(inside.values(), ({ length }) => length));
    const fullest = [...inside.values()].filter(({ length }) => length === most);
    if (evicted === undefined) continue;
    evictions += 1;
    const loser = fullest.find(([longest]) => longest === evicted);
    expect(loser?.shift()).toBe(evicted);
  }
  expect(evictions).toBeGreaterThan(500);
  expect(waiting.size).toBe([...inside.values()].flat().length);
});
