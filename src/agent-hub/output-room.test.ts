import { describe, expect, it } from 'vitest';
import { OutputRoom } from './output-room.ts';

describe('the output that is to give way', () => {
  it('is of the agent that takes most the one unread for longest', () => {
    const room = new OutputRoom<{ agentId: string; name: string }>();
    expect(room.longestUnread()).toBeUndefined();
    const modest = { agentId: 'a1', name: 'modest' };
    const [first, second] = ['first', 'second'].map((name) => ({ agentId: 'a2', name }));
    room.set(modest, 50);
    for (const each of [first, second]) if (each !== undefined) room.set(each, 40);
    expect(room.bytes).toBe(130);
    expect(room.longestUnread()).toBe(first);
    if (first !== undefined) room.read(first);
    expect(room.longestUnread()).toBe(second);
    if (second !== undefined) room.set(second, 0);
    expect(room.longestUnread()).toBe(modest);
    room.read({ agentId: 'a3', name: 'unknown' });
    room.set(modest, 10);
    expect(room.longestUnread()).toBe(first);
    expect(room.bytes).toBe(50);
  });
});
