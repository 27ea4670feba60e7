import { describe, expect, it } from 'vitest';
import { CLOSE_CODES } from '../../protocol/handshake.ts';
import { planRedial } from './redial.ts';

const UNREACHED = { closeCode: 1006, authenticatedMs: 0 };
const HIGH = 0.999_999;

describe('planRedial', () => {
  it('doubles the ceiling from 1 s to 60 s over failed dials', () => {
    const delays: number[] = [];
    let failedDials = 0;
    for (let dial = 0; dial < 9; dial += 1) {
      const plan = planRedial(failedDials, UNREACHED, HIGH);
      failedDials = plan.failedDials;
      delays.push(Math.round(plan.delayMs / 1000));
    }
    expect(delays).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
    expect(failedDials).toBe(9);
  });

  it('keeps a delay of a minute after thousands of failures', () => {
    expect(planRedial(5_000, UNREACHED, 0.5).delayMs).toBe(30_000);
  });

  it('takes any delay below the ceiling, but none below 250 ms', () => {
    expect(planRedial(6, UNREACHED, 0.1).delayMs).toBe(6_000);
    expect(planRedial(6, UNREACHED, 0).delayMs).toBe(250);
  });

  it('starts over after 1 s of being authenticated, not before', () => {
    const lost = { closeCode: 1006 };
    expect(planRedial(6, { ...lost, authenticatedMs: 1_000 }, HIGH).failedDials).toBe(0);
    expect(planRedial(6, { ...lost, authenticatedMs: 1_000 }, HIGH).delayMs).toBeLessThan(1_000);
    expect(planRedial(6, { ...lost, authenticatedMs: 999 }, HIGH).failedDials).toBe(7);
  });

  it('starts over when the hub restarts', () => {
    const ending = { closeCode: CLOSE_CODES.SERVICE_RESTART, authenticatedMs: 0 };
    const plan = planRedial(6, ending, 0.5);
    expect(plan).toEqual({ delayMs: 500, failedDials: 0 });
  });

  it.each([
    ['not authenticated', CLOSE_CODES.NOT_AUTHENTICATED, 30_000, 90_000],
    ['superseded', CLOSE_CODES.SUPERSEDED, 30_000, 90_000],
    ['a clone', CLOSE_CODES.CLONE, 150_000, 450_000],
    ['too many attempts', CLOSE_CODES.TOO_MANY_ATTEMPTS, 30_000, 90_000],
  ])('dials slowly with jitter after %s', (_, closeCode, least, most) => {
    const ending = { closeCode, authenticatedMs: 60_000 };
    expect(planRedial(0, ending, 0).delayMs).toBe(least);
    expect(Math.round(planRedial(0, ending, HIGH).delayMs)).toBe(most);
  });

  it('backs off after a violation or a frame too large', () => {
    const ending = { closeCode: CLOSE_CODES.PROTOCOL_VIOLATION, authenticatedMs: 10 };
    expect(planRedial(1, ending, 0.5)).toEqual({ delayMs: 1_000, failedDials: 2 });
  });
});
