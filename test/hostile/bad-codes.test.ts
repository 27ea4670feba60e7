import { afterAll, expect, it } from 'vitest';
import {
  ATTEMPTS_BURST_COUNT,
  ATTEMPTS_OVERALL_BURST_COUNT,
  ATTEMPTS_OVERALL_PER_MINUTE_COUNT,
  ATTEMPTS_PER_MINUTE_COUNT,
  CODE_TTL_DEFAULT_MINUTES,
} from '../../protocol/limits.ts';
import { newRegistrationCode } from '../../src/agent-hub/credentials.ts';
import { BesiegedHub } from '../support/besieged-hub.ts';
import { FakeAgent } from '../support/fake-agent.ts';
import { installAgent } from '../support/installed-agent.ts';
import { Started } from '../support/processes.ts';
import { report, sized } from '../support/test-size.ts';

const FLOOD_SECONDS = sized({ short: 5, full: 60 });
const FLOOD_PER_SECOND = 100;
const ADDRESSES = sized({ short: 40, full: 200 });
const LIVE_CODES = 1_000;
const CODE_BITS = 80;
const CHANCE_BELOW = 1e-12;
const MINUTE_MS = 60_000;

const started = new Started();
let besieged: BesiegedHub | undefined;

// One for the whole file: it takes a while until its memory has settled.
async function siege(): Promise<BesiegedHub> {
  return (besieged ??= await BesiegedHub.start(started));
}

afterAll(() => started[Symbol.asyncDispose]());

/** What one guess comes to: the name of the hub's refusal. */
async function guess(url: string, localAddress = '127.0.0.1'): Promise<string> {
  const agent = await FakeAgent.dial(url, { localAddress });
  const hello = { type: 'register', code: newRegistrationCode(), version: '1.0.0' };
  const { code } = await agent.hello(hello);
  agent.cut();
  return String(code);
}

it(`${FLOOD_PER_SECOND} bad codes a second for ${FLOOD_SECONDS} s`, {
  timeout: 120_000 + FLOOD_SECONDS * 2_000,
}, async () => {
  const hub = await siege();
  const refusals = await hub.withstands(`${FLOOD_PER_SECOND} bad codes a second`, async () => {
    const guesses: Promise<string>[] = [];
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        guesses.push(guess(hub.url));
        if (guesses.length < FLOOD_SECONDS * FLOOD_PER_SECOND) return;
        clearInterval(timer);
        resolve();
      }, 1_000 / FLOOD_PER_SECOND);
    });
    // An honest agent at that address does not need the attempts that are used up.
    await hub.letsGuestIn();
    return counted(await Promise.all(guesses));
  });
  report(`answers to bad codes: ${JSON.stringify(Object.fromEntries(refusals))}`);
  expect([...refusals.keys()].toSorted()).toEqual(['CODE_UNKNOWN', 'TOO_MANY_ATTEMPTS']);
});

it('whoever guesses codes has next to no chance to hit one', { timeout: 300_000 }, async () => {
  const hub = await siege();
  const startedAt = performance.now();
  const minutes = (): number => (performance.now() - startedAt) / MINUTE_MS;

  const single = await lookedAt(hub.url, ['127.0.3.1'], ATTEMPTS_BURST_COUNT * 3);
  expect(single).toBeLessThanOrEqual(
    ATTEMPTS_BURST_COUNT + ATTEMPTS_PER_MINUTE_COUNT * minutes() + 1,
  );

  const addresses = Array.from({ length: ADDRESSES }, (_, index) => `127.0.1.${index + 1}`);
  const spread = await lookedAt(hub.url, addresses, ATTEMPTS_BURST_COUNT + 10);
  const most = ATTEMPTS_OVERALL_BURST_COUNT + ATTEMPTS_OVERALL_PER_MINUTE_COUNT * minutes();
  expect(single + spread).toBeLessThanOrEqual(most + 1);
  report(
    `guesses looked at: ${single} of one address, ${spread} of ${ADDRESSES} addresses, in ${minutes().toFixed(2)} min`,
  );

  // Whatever the run measured, nobody gets more than the limit over all addresses.
  const life = CODE_TTL_DEFAULT_MINUTES;
  const guesses = ATTEMPTS_OVERALL_BURST_COUNT + ATTEMPTS_OVERALL_PER_MINUTE_COUNT * life;
  const chance = (guesses * LIVE_CODES) / 2 ** CODE_BITS;
  report(
    `chance to hit one of ${LIVE_CODES} live codes in ${life} min: ${chance.toExponential(1)}`,
  );
  expect(chance).toBeLessThan(CHANCE_BELOW);

  // Whose address has attempts left is not kept out by the others; a right code is no guess.
  const { code } = await installAgent(started, hub.server, hub.client, 'web-1');
  const isSpent = single + spread >= ATTEMPTS_OVERALL_BURST_COUNT;
  const agent = await FakeAgent.dial(hub.url, { localAddress: '127.0.2.1' });
  const welcome = await agent.hello({ type: 'register', code, version: '1.0.0' });
  if (!isSpent) expect(welcome).toMatchObject({ type: 'registered' });
});

/** Guesses that the hub compared with its codes, out of `each` from every address. */
async function lookedAt(url: string, addresses: readonly string[], each: number): Promise<number> {
  let count = 0;
  for (const address of addresses) {
    const answers = await Promise.all(Array.from({ length: each }, () => guess(url, address)));
    count += answers.filter((answer) => answer === 'CODE_UNKNOWN').length;
  }
  return count;
}

function counted(values: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}
