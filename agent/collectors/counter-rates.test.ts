import { describe, expect, it } from 'vitest';
import { CounterRates } from './counter-rates.ts';

describe('CounterRates', () => {
  it('says what was gained per second since the reading before', () => {
    const rates = new CounterRates<'rx' | 'tx'>();
    expect(rates.take('eth0', { rx: 100, tx: 0 }, 1_000)).toBeUndefined();
    expect(rates.take('eth0', { rx: 400, tx: 50 }, 3_000)).toEqual({ rx: 150, tx: 25 });
  });

  it('says nothing when a counter went backwards, and goes on from there', () => {
    const rates = new CounterRates<'rx'>();
    rates.take('eth0', { rx: 5_000 }, 0);
    expect(rates.take('eth0', { rx: 10 }, 1_000)).toBeUndefined();
    expect(rates.take('eth0', { rx: 30 }, 2_000)).toEqual({ rx: 20 });
  });

  it('says nothing of two readings of one moment', () => {
    const rates = new CounterRates<'rx'>();
    rates.take('eth0', { rx: 1 }, 5);
    expect(rates.take('eth0', { rx: 2 }, 5)).toBeUndefined();
  });

  it('begins anew with what was away', () => {
    const rates = new CounterRates<'rx'>();
    rates.take('eth0', { rx: 1 }, 0);
    rates.take('eth1', { rx: 1 }, 0);
    rates.keepOnly(new Set(['eth1']));
    expect(rates.take('eth0', { rx: 9 }, 1_000)).toBeUndefined();
    expect(rates.take('eth1', { rx: 9 }, 1_000)).toEqual({ rx: 8 });
  });
});
