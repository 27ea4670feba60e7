import { describe, expect, it } from 'vitest';
import { AnswerGroups } from './answer-groups.ts';
import { RESULT_TEXT_MAX_CHARS } from './text-limit.ts';

const textLength = (group: { result?: unknown; result_text?: string | undefined }) =>
  (group.result_text ?? JSON.stringify(group.result, null, 1)).length;

const add = (groups: AnswerGroups, serverId: string, result: unknown) =>
  groups.add({ serverId, commandId: `${serverId}-id`, status: 'succeeded' }, result);
const ids = (...serverIds: string[]) => ({
  server_ids: serverIds,
  command_ids: serverIds.map((serverId) => `${serverId}-id`),
});

describe('AnswerGroups', () => {
  it('puts the biggest group first, and its servers in order', () => {
    const groups = new AnswerGroups();
    add(groups, 'c', 1);
    add(groups, 'z', 2);
    add(groups, 'b', 2);
    add(groups, 'a', null);
    add(groups, 'd', undefined);
    add(groups, 'e', 3);
    expect(groups.within(1_000)).toEqual([
      { ...ids('a', 'd'), status: 'succeeded', result: null },
      { ...ids('b', 'z'), status: 'succeeded', result: 2 },
      { ...ids('c'), status: 'succeeded', result: 1 },
      { ...ids('e'), status: 'succeeded', result: 3 },
    ]);
    expect(groups.succeeded).toBe(6);
  });

  it('cuts the long results only, each to the same length, and says so', () => {
    const groups = new AnswerGroups();
    add(groups, 'a', 'short');
    add(groups, 'b', 'x'.repeat(900));
    add(groups, 'c', 'y'.repeat(40_000));
    const [a, b, c] = groups.within(1_007);
    expect(a).toEqual({ ...ids('a'), status: 'succeeded', result: 'short' });
    expect(b).toMatchObject({ truncated: true, result_text: `"${'x'.repeat(499)}` });
    expect(c).toMatchObject({ truncated: true, result_text: `"${'y'.repeat(499)}` });
    expect(b).not.toHaveProperty('result');
    expect(c).toHaveProperty('rest', { command_id: 'c-id', result_offset: 500 });
  });

  it('names for the rest of a cut result the command whose beginning it shows', () => {
    const groups = new AnswerGroups();
    const long = 'x'.repeat(2_000);
    add(groups, 'b', { stdout: long, exit_code: 0 });
    add(groups, 'a', { exit_code: 0, stdout: long });
    const [group] = groups.within(1_000);
    expect(group).toMatchObject({ ...ids('a', 'b'), rest: { command_id: 'b-id' } });
    expect(group?.result_text).toMatch(/^\{\n "stdout"/);
  });

  it('names a bounded number of commands, of every group one as long as there is room', () => {
    const groups = new AnswerGroups();
    const counts = (all: AnswerGroups) =>
      all.within(RESULT_TEXT_MAX_CHARS).map(({ command_ids }) => command_ids.length);
    for (let i = 0; i < 400; i += 1) add(groups, `s${i}`, 'same');
    expect(counts(groups)).toEqual([300]);
    for (let i = 0; i < 99; i += 1) add(groups, `t${i}`, i);
    expect(counts(groups)).toEqual([3, ...Array(99).fill(1)]);
    for (let i = 0; i < 300; i += 1) add(groups, `u${i}`, `${i}`);
    expect(counts(groups)).toEqual([...Array(300).fill(1), ...Array(100).fill(0)]);
  });

  it('keeps results within the limit, however many and long they are', () => {
    const groups = new AnswerGroups();
    for (let i = 0; i < 300; i += 1) add(groups, `s${i}`, `${i}\n`.repeat(20_000));
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
      add(groups, serverId, { stdout: long + end });
    }
    expect(groups.within(RESULT_TEXT_MAX_CHARS)).toMatchObject([
      { server_ids: ['a', 'c'] },
      { server_ids: ['b'] },
    ]);
  });
});
