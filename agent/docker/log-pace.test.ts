import { describe, expect, it } from 'vitest';
import { LogPace, rotatesAtBytes } from './log-pace.ts';

describe('rotatesAtBytes', () => {
  it.each([
    ['json-file', {}, undefined],
    ['json-file', { 'max-size': '10m' }, 10_000_000],
    ['json-file', { 'max-size': '512kb' }, 512_000],
    ['json-file', { 'max-size': '1.5G' }, 1_500_000_000],
    ['json-file', { 'max-size': '-1' }, undefined],
    ['local', {}, 20_000_000],
    ['journald', { 'max-size': '1m' }, undefined],
  ])('of %s with %j', (Type, Config, expected) => {
    expect(rotatesAtBytes({ Type, Config })).toBe(expected);
  });
});

describe('LogPace', () => {
  const ago = (ms: number) => ({ nanos: BigInt(Date.now() - ms) * 1_000_000n });

  it('lets a reader be that is close behind its writer', () => {
    const pace = new LogPace(1_000_000);
    const chunks = [900, 600, 300, 20].map((ms) => pace.take(60_000, ago(ms)));
    expect(chunks).toEqual([false, false, false, false]);
  });

  it('notices one that is as far behind as the engine fills much of a file', () => {
    const pace = new LogPace(1_000_000);
    expect(pace.take(60_000, ago(6_000))).toBe(false);
    expect(pace.take(60_000, ago(5_900))).toBe(true);
  });

  it('notices a time between two messages in which a file was filled while the engine had to wait', () => {
    const pace = new LogPace(1_000_000);
    const skipped = (...times: number[]) => times.map((ms) => pace.mayHaveSkipped(ago(ms)));
    pace.came();
    expect(skipped(900, 890, 700)).toEqual([false, false, false]);
    pace.take(65_536, ago(700));
    pace.came();
    expect(skipped(690, 500, 495)).toEqual([false, true, false]);
  });

  it('lets a container be that writes much now and then', () => {
    const pace = new LogPace(1_000_000);
    pace.came();
    pace.mayHaveSkipped(ago(100));
    pace.take(65_536, ago(100));
    expect([-300, -900].map((ms) => pace.mayHaveSkipped(ago(ms)))).toEqual([false, false]);
  });
});
