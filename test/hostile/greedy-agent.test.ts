import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { BesiegedHub } from '../support/besieged-hub.ts';
import { eventually } from '../support/hub.ts';
import { Started } from '../support/processes.ts';
import { sized } from '../support/test-size.ts';

const GREEDY = fileURLToPath(new URL('../support/greedy-agent.ts', import.meta.url));
/** An attack lasts for so many calls of honest agents: longer than its allowance. */
const HONEST_CALLS = sized({ short: 1_000, full: 5_000 });

const started = new Started();
let besieged: BesiegedHub | undefined;
let attackers = 0;

// One for the whole file: it takes a while until its memory has settled.
async function siege(): Promise<BesiegedHub> {
  return (besieged ??= await BesiegedHub.start(started));
}

afterAll(() => started[Symbol.asyncDispose]());

/** One agent sends what nobody asked for, at full speed. Answers how often it connected. */
async function attack(kind: string, ...more: string[]): Promise<number> {
  const hub = await siege();
  const { token } = await hub.agentOfAttacker(`greedy-${(attackers += 1)}`);
  return hub.withstands(`${kind} that nobody asked for ${more.join(' ')}`, async () => {
    const attacker = started.script(GREEDY, [hub.url, token, kind, ...more]);
    await eventually(() => expect(attacker.output()).toContain('connected'));
    await hub.honestCalls(HONEST_CALLS);
    const connections = attacker.output().split('\n').length - 1;
    await attacker.stop('SIGKILL');
    return connections;
  });
}

it.each([['notifications'], ['answers'], ['events']])(
  '%s at full speed slow no other agent, and cost their sender nothing but time',
  {
    timeout: 240_000,
  },
  async (kind) => {
    expect(await attack(kind)).toBe(1);
  },
);

it('notifications of an agent that comes back on a new socket again and again', {
  timeout: 240_000,
}, async () => {
  expect(await attack('notifications', 'reconnects')).toBeGreaterThan(1);
});
