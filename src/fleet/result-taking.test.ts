import { describe, expect, it } from 'vitest';
import { ResultTaking } from './result-taking.ts';

const END = 'the end';

describe('a result', () => {
  it('is taken by who began the command as long as it waits', async () => {
    const taking = new ResultTaking();
    expect(taking.settle()).toBe(false);
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const through = taking.through(promise, Promise.resolve(END));
    expect(taking.settle()).toBe(true);
    resolve(END);
    expect(await through).toBe(END);
  });

  it('is not taken by who waits no longer', async () => {
    const taking = new ResultTaking();
    const over = Promise.resolve(undefined);
    expect(await taking.through(over, Promise.resolve(END))).toBeUndefined();
    expect(taking.settle()).toBe(false);
  });

  it('is answered to a wait that is over in the moment in which it was taken', async () => {
    const taking = new ResultTaking();
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const ended = Promise.withResolvers<string>();
    const through = taking.through(promise, ended.promise);
    resolve(undefined);
    // Whoever waits is told only later.
    expect(taking.settle()).toBe(true);
    ended.resolve(END);
    expect(await through).toBe(END);
  });

  it('is not taken when somebody else was told that the command goes on', async () => {
    const taking = new ResultTaking();
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const through = taking.through(promise, Promise.resolve(END));
    taking.keep();
    expect(taking.settle()).toBe(false);
    resolve(END);
    expect(await through).toBe(END);
  });
});
