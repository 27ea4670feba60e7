import { afterAll, expect, it } from 'vitest';
import { BesiegedHub } from '../support/besieged-hub.ts';
import { send, settledRows } from '../support/commands.ts';
import { mutatedFrame } from '../support/frame-mutations.ts';
import { HostileAgent, sendHello } from '../support/hostile-agent.ts';
import { Started } from '../support/processes.ts';
import { report, sized, testSeed } from '../support/test-size.ts';

const MESSAGES = sized({ short: 18_000, full: 950_000 });
const HELLOS = sized({ short: 2_000, full: 50_000 });
/** Not authenticated, too many attempts; and of RFC 6455: not UTF-8, too large. */
const REFUSALS = new Set([4001, 4013, 1007, 1009]);
const BEHAVED = sized({ short: 10_000, full: 250_000 });
const AT_ONCE = 8;
const STEP = 1_000;
const SEED = testSeed();
// To send some again: TOMO_TEST_FRAMES=12000-13000 with the TOMO_TEST_SEED of the run that failed.
const [FROM = 0, TO = MESSAGES] = (process.env['TOMO_TEST_FRAMES'] ?? '')
  .split('-')
  .flatMap((part) => (part === '' ? [] : [Number(part)]));

const started = new Started();
let besieged: BesiegedHub | undefined;

// One for the whole file: it takes a while until its memory has settled.
async function siege(): Promise<BesiegedHub> {
  return (besieged ??= await BesiegedHub.start(started));
}

afterAll(() => started[Symbol.asyncDispose]());

it(`${MESSAGES} mutated messages of an agent hurt nobody but that agent`, {
  timeout: 120_000 + MESSAGES * 2,
}, async () => {
  report(`seed ${SEED}, messages ${FROM} to ${TO}`);
  const hub = await siege();
  const { serverId, token } = await hub.agentOfAttacker('hostile');
  const agent = new HostileAgent(hub.url, token);
  // Memory is compared with that of a hub as busy with an agent that plays by the rules.
  await agent.behave(BEHAVED);
  let isOver = false;
  // Calls that the attacker may answer, one at a time, each of which ends.
  const victims = async (): Promise<string[]> => {
    const statuses: string[] = [];
    while (!isOver) {
      const answer = await send(hub.client, serverId, 'agent.ping', {}, { timeout_seconds: 2 });
      statuses.push(answer.status ?? 'none');
    }
    return statuses;
  };
  const told = await hub.withstands(`${TO - FROM} mutated messages`, async () => {
    const calls = victims();
    calls.catch(() => undefined);
    for (let from = FROM; from < TO; from += STEP) {
      await agent.sendFrames(SEED, from, Math.min(from + STEP, TO)).catch((error: unknown) => {
        throw new Error(`frames from ${from} of seed ${SEED}`, { cause: error });
      });
    }
    agent.close();
    isOver = true;
    return await calls;
  });
  report(`${agent.connections} sockets; calls to the attacker's agent: ${summary(told)}`);
  expect(told).not.toContain('none');
  // Back once more, so that the hub waits no longer for answers that it may still hold.
  await agent.sendFrames(SEED, 0, 1);
  await settledRows(hub.server.dataDir);
  agent.close();
});

it(`${HELLOS} mutated first messages are refused, each with a close`, {
  timeout: 120_000 + HELLOS * 10,
}, async () => {
  report(`seed ${SEED}, first messages 0 to ${HELLOS}`);
  const hub = await siege();
  const codes = new Map<number, number>();
  await hub.withstands(`${HELLOS} mutated first messages`, async () => {
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < HELLOS) {
        const index = next;
        next += 1;
        const code = await sendHello(hub.url, mutatedFrame('hello', SEED, index));
        codes.set(code, (codes.get(code) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  });
  report(`closed with ${[...codes].map(([code, count]) => `${code}: ${count}`).join(', ')}`);
  expect([...codes.keys()].filter((code) => !REFUSALS.has(code))).toEqual([]);
});

function summary(values: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].map(([value, count]) => `${count} ${value}`).join(', ');
}
