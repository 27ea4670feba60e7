import { describe, expect, it } from 'vitest';
import {
  UNASKED_ALLOWANCE_MS,
  UNASKED_DEBTS_MAX_COUNT,
  UNASKED_PAUSE_FACTOR,
  UNASKED_PAUSE_MAX_MS,
} from '../../protocol/limits.ts';
import { AgentDebts } from './agent-debts.ts';

function withClock() {
  let now = 0;
  const debts = new AgentDebts(() => now);
  const pass = (ms: number): void => {
    now += ms;
  };
  return { debts, pass };
}

describe('AgentDebts', () => {
  it('ask for no pause within the allowance, nor of any other agent', () => {
    const { debts } = withClock();
    debts.charge('a1', UNASKED_ALLOWANCE_MS);
    expect(debts.pauseMs('a1')).toBe(0);
    debts.charge('a1', 10);
    expect(debts.pauseMs('a1')).toBe(10 * UNASKED_PAUSE_FACTOR);
    expect(debts.pauseMs('a2')).toBe(0);
  });

  it('are paid off by waiting, and are forgotten in the end', () => {
    const { debts, pass } = withClock();
    debts.charge('a1', UNASKED_ALLOWANCE_MS + 10);
    pass(5 * UNASKED_PAUSE_FACTOR);
    expect(debts.pauseMs('a1')).toBe(5 * UNASKED_PAUSE_FACTOR);
    pass(5 * UNASKED_PAUSE_FACTOR);
    expect(debts.pauseMs('a1')).toBe(0);
    pass(1_000 * UNASKED_ALLOWANCE_MS);
    debts.charge('a1', UNASKED_ALLOWANCE_MS);
    expect(debts.pauseMs('a1')).toBe(0);
  });

  it('ask for a pause of bounded length, and remember the rest', () => {
    const { debts, pass } = withClock();
    debts.charge('a1', 1_000_000);
    expect(debts.pauseMs('a1')).toBe(UNASKED_PAUSE_MAX_MS);
    pass(UNASKED_PAUSE_MAX_MS);
    expect(debts.pauseMs('a1')).toBe(UNASKED_PAUSE_MAX_MS);
  });

  it('are remembered of a bounded number of agents, those charged last', () => {
    const { debts } = withClock();
    debts.charge('greedy', 1_000);
    debts.charge('forgotten', 1_000);
    debts.charge('greedy', 1);
    for (let count = 2; count <= UNASKED_DEBTS_MAX_COUNT; count += 1) {
      debts.charge(`a${count}`, 1);
    }
    expect(debts.pauseMs('greedy')).toBeGreaterThan(0);
    expect(debts.pauseMs('forgotten')).toBe(0);
  });
});
