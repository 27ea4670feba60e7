import { describe, expect, it } from 'vitest';
import {
  CALLS_MAX_COUNT,
  CALLS_PER_AGENT_MAX_COUNT,
  RUNS_PER_ACTOR_AND_AGENT_MAX_COUNT,
  RUNS_PER_ACTOR_MAX_COUNT,
} from '../../protocol/limits.ts';
import { RunRoom } from './run-room.ts';

const agent = (count: number) => ({ id: `a${count}`, serverId: `web-${count}` });

describe('the room for commands of one actor', () => {
  it('is a quarter of what there is', () => {
    expect(RUNS_PER_ACTOR_AND_AGENT_MAX_COUNT).toBe(CALLS_PER_AGENT_MAX_COUNT / 4);
    expect(RUNS_PER_ACTOR_MAX_COUNT).toBe(CALLS_MAX_COUNT / 4);
  });

  it('is bounded over all agents, and is had again when one has ended', () => {
    const room = new RunRoom();
    const leave = Array.from({ length: RUNS_PER_ACTOR_MAX_COUNT }, (_, count) =>
      room.take('token:one', agent(count % 100)),
    );
    const oneMore = () => room.take('token:one', agent(100));
    expect(oneMore).toThrow(expect.objectContaining({ name: 'LIMIT_REACHED' }));
    room.take('token:two', agent(100))();
    leave[0]?.();
    oneMore()();
    oneMore();
    expect(oneMore).toThrow(expect.objectContaining({ name: 'LIMIT_REACHED' }));
  });
});
