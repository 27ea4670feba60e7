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
  const ago = (ms: number) => new Date(Date.now() - ms).toISOString();

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
});
