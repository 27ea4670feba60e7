import { describe, expect, it } from 'vitest';
import { AnswerGroups } from './answer-groups.ts';
import { RESULT_TEXT_MAX_CHARS } from './text-limit.ts';

const textLength = (group: { result?: unknown; result_text?: string | undefined }) =>
  (group.result_text ?? JSON.stringify(group.result, null, 1)).length;

describe('AnswerGroups', () => {
  it('puts the biggest group first, and its servers in order', () => {
    const groups = new AnswerGroups();
    groups.add('c', 'succeeded', 1);
    groups.add('z', 'succeeded', 2);
    groups.add('b', 'succeeded', 2);
    groups.add('a', 'succeeded', null);
    groups.add('d', 'succeeded', undefined);
    groups.add('e', 'succeeded', 3);
    expect(groups.within(1_000)).toEqual([
      { server_ids: ['a', 'd'], status: 'succeeded', result: null },
      { server_ids: ['b', 'z'], status: 'succeeded', result: 2 },
      { server_ids: ['c'], status: 'succeeded', result: 1 },
      { server_ids: ['e'], status: 'succeeded', result: 3 },
    ]);
    expect(groups.succeeded).toBe(6);
  });

  it('cuts the long results only, each to the same length, and says so', () => {
    const groups = new AnswerGroups();
    groups.add('a', 'succeeded', 'short');
    groups.add('b', 'succeeded', 'x'.repeat(900));
    groups.add('c', 'succeeded', 'y'.repeat(40_000));
    const [a, b, c] = groups.within(1_007);
    expect(a).toEqual({ server_ids: ['a'], status: 'succeeded', result: 'short' });
    expect(b).toMatchObject({ truncated: true, result_text: `"${'x'.repeat(499)}` });
    expect(c).toMatchObject({ truncated: true, result_text: `"${'y'.repeat(499)}` });
    expect(b).not.toHaveProperty('result');
  });

  it('keeps results within the limit, however many and long they are', () => {
    const groups = new AnswerGroups();
    for (let i = 0; i < 300; i += 1) groups.add(`s${i}`, 'succeeded', `${i}\n`.repeat(20_000));
    const shown = groups.within(RESULT_TEXT_MAX_CHARS);
    const chars = shown.reduce((sum, group) => sum + textLength(group), 0);
    expect(shown).toHaveLength(300);
    expect(chars).toBeLessThanOrEqual(RESULT_TEXT_MAX_CHARS);
    expect(chars).toBeGreaterThan(RESULT_TEXT_MAX_CHARS / 2);
  });

  it('takes long results for equal only if they are so to their end', () => {
    const groups = new AnswerGroups();
    const long = 'x'.repeat(RESULT_TEXT_MAX_CHARS * 2);
    for (const [serverId, end] of [
      ['a', '1'],
      ['b', '2'],
      ['c', '1'],
    ] as const) {
      groups.add(serverId, 'succeeded', { stdout: long + end });
    }
    expect(groups.within(RESULT_TEXT_MAX_CHARS)).toMatchObject([
      { server_ids: ['a', 'c'] },
      { server_ids: ['b'] },
    ]);
  });
});
