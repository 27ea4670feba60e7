import { describe, expect, it } from 'vitest';
import {
  ATTEMPT_ADDRESSES_MAX_COUNT,
  ATTEMPTS_BURST_COUNT,
  ATTEMPTS_OVERALL_BURST_COUNT,
  ATTEMPTS_OVERALL_PER_MINUTE_COUNT,
  ATTEMPTS_PER_MINUTE_COUNT,
} from '../../protocol/limits.ts';
import { startHub } from '../../test/support/hub.ts';
import { AttemptLimiter } from './attempt-limiter.ts';
import { newRegistrationCode } from './credentials.ts';

const MINUTE_MS = 60_000;

describe('attempts of one address', () => {
  it('run out after a burst, and come back with time up to the burst', () => {
    const { limiter, clock } = limiterAt(0);
    use(limiter, 'a', ATTEMPTS_BURST_COUNT - 1);
    expect(limiter.allows('a')).toBe(true);
    use(limiter, 'a', 1);
    expect(limiter.allows('a')).toBe(false);
    clock.now += MINUTE_MS / ATTEMPTS_PER_MINUTE_COUNT - 1;
    expect(limiter.allows('a')).toBe(false);
    clock.now += 2;
    expect(limiter.allows('a')).toBe(true);
    clock.now += 1_000 * MINUTE_MS;
    use(limiter, 'a', ATTEMPTS_BURST_COUNT);
    expect(limiter.allows('a')).toBe(false);
  });

  it('do not fall below none, however many are counted at once', () => {
    const { limiter, clock } = limiterAt(0);
    use(limiter, 'a', 10 * ATTEMPTS_BURST_COUNT);
    clock.now += (2 * MINUTE_MS) / ATTEMPTS_PER_MINUTE_COUNT;
    expect(limiter.allows('a')).toBe(true);
  });

  it('leave other addresses alone', () => {
    const { limiter } = limiterAt(0);
    use(limiter, 'a', ATTEMPTS_BURST_COUNT);
    expect(limiter.allows('a')).toBe(false);
    expect(limiter.allows('b')).toBe(true);
  });
});

describe('attempts of all addresses', () => {
  it('run out together, and come back with time', () => {
    const { limiter, clock } = limiterAt(0);
    for (let count = 0; count < ATTEMPTS_OVERALL_BURST_COUNT; count += 1) {
      expect(limiter.allows(`address-${count}`)).toBe(true);
      limiter.countUnknownCode(`address-${count}`);
    }
    expect(limiter.allows('another')).toBe(false);
    clock.now += (2 * MINUTE_MS) / ATTEMPTS_OVERALL_PER_MINUTE_COUNT;
    expect(limiter.allows('another')).toBe(true);
  });

  it('are remembered for a bounded number of addresses, the longest unused forgotten first', () => {
    const { limiter, clock } = limiterAt(0);
    use(limiter, 'first', ATTEMPTS_BURST_COUNT);
    use(limiter, 'second', ATTEMPTS_BURST_COUNT);
    for (let count = 0; count < ATTEMPT_ADDRESSES_MAX_COUNT - 2; count += 1) {
      limiter.countUnknownCode(`address-${count}`);
    }
    limiter.countUnknownCode('first');
    limiter.countUnknownCode('one too many');
    // Enough for the overall count, too little for any address.
    clock.now += (2 * MINUTE_MS) / ATTEMPTS_OVERALL_PER_MINUTE_COUNT;
    expect(limiter.allows('first')).toBe(false);
    expect(limiter.allows('second')).toBe(true);
  });
});

describe('the hub', () => {
  it('answers TOO_MANY_ATTEMPTS and closes with 4013, while tokens still get in', async () => {
    const test = await startHub();
    const { token } = await test.join('web-1');
    const { code } = await test.install('web-2');
    const guess = async (guessed: string) => {
      const agent = await test.dial();
      const answer = await agent.hello({ type: 'register', code: guessed, version: '1' });
      return { name: answer['code'], close: (await agent.closed).code };
    };
    for (let count = 0; count < ATTEMPTS_BURST_COUNT; count += 1) {
      expect(await guess(newRegistrationCode())).toEqual({ name: 'CODE_UNKNOWN', close: 4001 });
    }
    expect(await guess(newRegistrationCode())).toEqual({ name: 'TOO_MANY_ATTEMPTS', close: 4013 });
    // A right code does not tell itself apart from a wrong one.
    expect(await guess(code)).toEqual({ name: 'TOO_MANY_ATTEMPTS', close: 4013 });
    expect((await test.rejoin(token)).welcome).toMatchObject({ type: 'authenticated' });
  });

  it('does not count used or expired codes, or unknown tokens', async () => {
    const test = await startHub();
    const used = await test.install('web-1');
    await (await test.dial()).hello({ type: 'register', code: used.code });
    const expired = await test.install('web-2', { ttlMs: -1 });
    const hellos = [
      { type: 'register', code: used.code },
      { type: 'register', code: expired.code },
      { type: 'authenticate', token: 'unknown' },
    ];
    for (let count = 0; count <= ATTEMPTS_BURST_COUNT; count += 1) {
      for (const hello of hellos) await (await test.dial()).hello(hello);
    }
    expect((await test.join('web-3')).welcome).toMatchObject({ type: 'registered' });
  });

  it('does not count codes that were replaced, or whose agent was revoked', async () => {
    const test = await startHub();
    const spent = await test.install('web-1');
    await (await test.dial()).hello({ type: 'register', code: spent.code });
    const unused = await test.install('web-1');
    await test.install('web-1');
    const { code: revoked, agentId } = await test.install('web-2');
    await test.hub.revoke(agentId);
    for (let count = 0; count <= ATTEMPTS_BURST_COUNT; count += 1) {
      for (const code of [spent.code, unused.code, revoked]) {
        const answer = await (await test.dial()).hello({ type: 'register', code });
        expect(answer).toMatchObject({ code: 'CODE_USED' });
      }
    }
    expect((await test.join('web-3')).welcome).toMatchObject({ type: 'registered' });
  });
});

function limiterAt(now: number): { limiter: AttemptLimiter; clock: { now: number } } {
  const clock = { now };
  return { limiter: new AttemptLimiter(() => clock.now), clock };
}

function use(limiter: AttemptLimiter, address: string, count: number): void {
  for (let used = 0; used < count; used += 1) limiter.countUnknownCode(address);
}
