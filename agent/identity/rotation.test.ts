import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgentUnderTest } from '../../test/support/agent-under-test.ts';
import type { HubSocket } from '../../test/support/hub-stand-in.ts';
import type { AgentState } from './state.ts';

const { CODE } = AgentUnderTest;
const OLD = `token-of-${CODE}`;
const NEW = 'n'.repeat(43);
const NEWER = 'm'.repeat(43);
const ROTATE = 'agent.rotate_token';

let agent: AgentUnderTest;
beforeEach(async () => {
  agent = await AgentUnderTest.create();
});
afterEach(async () => {
  await agent[Symbol.asyncDispose]();
});

/** An agent that is connected, and carries rotations out. */
async function connected(registerCode = CODE, more = {}): Promise<HubSocket> {
  await agent.start({ registerCode, servesAgent: true });
  const { hub } = await agent.hubs.welcome({}, more);
  await agent.untilLogged('"connected"');
  return hub;
}

async function tokens(): Promise<Partial<AgentState>> {
  const { token, previous_token, unused_tokens } = await agent.stored();
  return {
    token,
    ...(previous_token && { previous_token }),
    ...(unused_tokens && { unused_tokens }),
  };
}

async function untilStored(expected: Partial<AgentState>): Promise<void> {
  while (JSON.stringify(await tokens()) !== JSON.stringify(expected)) {
    await new Promise(setImmediate);
  }
}

describe('agent.rotate_token', () => {
  it('answers once the new token is on the disk, beside the one that is in force', async () => {
    const hub = await connected();
    const answer = await hub.call('a', ROTATE, { token: NEW });
    expect(answer).toHaveProperty('result.status', 'stored');
    expect(await tokens()).toEqual({ token: NEW, previous_token: OLD });
    expect((await agent.stored()).code_sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(agent.logged).not.toContain(NEW);
  });

  it('dials with the new token from then on, and drops the old one when it was taken', async () => {
    const hub = await connected();
    await hub.call('a', ROTATE, { token: NEW });
    hub.socket.close(1012);
    const { tried } = await agent.hubs.welcomeToken([OLD, NEW]);
    expect(tried).toEqual([NEW]);
    await untilStored({ token: NEW });
  });

  it('falls back to the old token at once if the hub does not know the new one', async () => {
    const hub = await connected();
    await hub.call('a', ROTATE, { token: NEW });
    hub.socket.close(1012);
    const { tried } = await agent.hubs.welcomeToken([OLD]);
    expect(tried).toEqual([NEW, OLD]);
    expect(agent.endings).toHaveLength(1);
    await untilStored({ token: OLD });
  });

  it('tries the old token, too, at a hub that names no reason', async () => {
    const hub = await connected();
    await hub.call('a', ROTATE, { token: NEW });
    hub.socket.close(1012);
    expect(await agent.refuse(undefined, 4001)).toHaveProperty('token', NEW);
    expect((await agent.hubs.welcome()).hello).toHaveProperty('token', OLD);
  });

  it.each([
    ['TOO_MANY_ATTEMPTS', 4013],
    ['CLONE_REFUSED', 4004],
  ])('takes %s for no verdict on the new token', async (reason, code) => {
    const hub = await connected();
    await hub.call('a', ROTATE, { token: NEW });
    hub.socket.close(1012);
    expect(await agent.refuse(reason, code)).toHaveProperty('token', NEW);
    expect((await agent.hubs.welcome()).hello).toHaveProperty('token', NEW);
  });

  it('keeps the proven token through rotations that are repeated', async () => {
    const hub = await connected();
    await hub.call('a', ROTATE, { token: NEW });
    await hub.call('b', ROTATE, { token: NEWER });
    const expected = { token: NEWER, previous_token: OLD, unused_tokens: [NEW] };
    expect(await tokens()).toEqual(expected);
    hub.socket.close(1012);
    // The first new token came into force when its grace ended; the second never did.
    const { tried } = await agent.hubs.welcomeToken([NEW]);
    expect(tried).toEqual([NEWER, NEW]);
    await untilStored({ token: NEW });
  });

  it('stays with what it has, and says so, if no token is known any more', async () => {
    const hub = await connected();
    await hub.call('a', ROTATE, { token: NEW });
    hub.socket.close(1012);
    for (const token of [NEW, OLD, NEW]) {
      expect(await agent.refuse('TOKEN_UNKNOWN', 4001)).toHaveProperty('token', token);
    }
    expect(agent.logged.match(/install_agent/g)).toHaveLength(1);
    expect(await tokens()).toEqual({ token: NEW, previous_token: OLD });
  });

  it('keeps the old token, and says why, if the new one cannot be written', async () => {
    const hub = await connected();
    const file = path.join(agent.directory, 'agent.json');
    const text = await readFile(file, 'utf8');
    await rm(agent.directory, { recursive: true });
    await writeFile(agent.directory, '');
    const answer = await hub.call('a', ROTATE, { token: NEW });
    expect(answer).toHaveProperty('error.data.name', 'INTERNAL_ERROR');
    expect(answer).toHaveProperty('error.message', expect.stringContaining('DATA_DIR'));
    hub.socket.close(1012);
    expect((await agent.hubs.welcome()).hello).toHaveProperty('token', OLD);
    expect(text).not.toContain(NEW);
  });

  it('never overwrites the registration of another process', async () => {
    const hub = await connected();
    const file = path.join(agent.directory, 'agent.json');
    const foreign = JSON.stringify({ ...(await agent.stored()), token: 'foreign' });
    await writeFile(`${file}.new`, foreign);
    await rename(`${file}.new`, file);
    const answer = await hub.call('a', ROTATE, { token: NEW });
    expect(answer).toHaveProperty('error.data.name', 'INTERNAL_ERROR');
    expect(await readFile(file, 'utf8')).toBe(foreign);
  });

  it('is refused by a candidate, and carried out once it is promoted', async () => {
    const hub = await connected('TTTT-TTTT-TTTT-TTTT', { candidate: true });
    const refused = await hub.call('a', ROTATE, { token: NEW });
    expect(refused).toHaveProperty('error.data.name', 'CONFLICT');
    hub.send({ jsonrpc: '2.0', method: '$/promoted' });
    while ((await agent.stored().catch(() => undefined)) === undefined) {
      await hub.call('p', 'agent.ping');
    }
    const answer = await hub.call('b', ROTATE, { token: NEW });
    expect(answer).toHaveProperty('result.status', 'stored');
    expect(await tokens()).toEqual({ token: NEW, previous_token: 'token-of-TTTT-TTTT-TTTT-TTTT' });
  });

  it('is refused by an agent that was replaced', async () => {
    const hub = await connected();
    hub.request('busy', 'system.exec', { command: 'sleep 0.5' });
    hub.send({ jsonrpc: '2.0', method: '$/retire' });
    const refused = await hub.call('a', ROTATE, { token: NEW });
    expect(refused).toHaveProperty('error.data.name', 'CONFLICT');
  });

  it('comes together with the welcome and is kept all the same', async () => {
    await agent.registerFirst();
    await agent.start({ registerCode: CODE, servesAgent: true });
    const { hub } = await agent.hubs.welcome();
    const answer = await hub.call('a', ROTATE, { token: NEW });
    expect(answer).toHaveProperty('result.status', 'stored');
    expect(await tokens()).toEqual({ token: NEW, previous_token: OLD });
  });

  it('forgets every token when the agent is revoked', async () => {
    const { run } = await agent.start({ registerCode: CODE, servesAgent: true });
    const { hub } = await agent.hubs.welcome();
    await agent.untilLogged('"connected"');
    await hub.call('a', ROTATE, { token: NEW });
    hub.socket.close(1012);
    // Revoked before it used the new one, which the hub has dropped.
    await agent.refuse('TOKEN_UNKNOWN', 4001);
    await agent.refuse('AGENT_REVOKED', 4002);
    expect(await run).toBe('revoked');
    await expect(agent.stored()).rejects.toHaveProperty('code', 'ENOENT');
  });

  it('leaves what it has accepted in the file if that cannot be changed', async () => {
    const hub = await connected();
    await hub.call('a', ROTATE, { token: NEW });
    // The temporary file cannot be made in its place.
    await mkdir(path.join(agent.directory, 'agent.json.tmp', 'x'), { recursive: true });
    hub.socket.close(1012);
    await agent.hubs.welcomeToken([NEW]);
    await agent.untilLogged('could not be kept');
    expect(await tokens()).toEqual({ token: NEW, previous_token: OLD });
  });
});

describe('a crash during a rotation', () => {
  const half = '{"agent_id":"agent-1","tok';
  const before = (state: AgentState) => ({ ...state, token: OLD });
  const after = (state: AgentState) => ({ ...state, token: NEW, previous_token: OLD });

  const STEPS = [
    ['before anything was written', before, undefined],
    ['while the temporary file was written', before, () => half],
    ['before the temporary file was renamed', before, after],
    ['after the rename, before the answer', after, undefined],
    ['after the answer', after, undefined],
  ] as const;
  const HUBS = [
    ['the old token only', [OLD]],
    ['both tokens', [OLD, NEW]],
    ['the new token only', [NEW]],
  ] as const;
  // A hub has the new token alone only after the agent has answered, or used it.
  const CASES = STEPS.flatMap(([step, state, temporary]) =>
    HUBS.filter(([, good]) => state === after || good[0] === OLD).map(
      ([hub, good]) => [step, hub, state, temporary, good] as const,
    ),
  );

  it.each(CASES)(
    '%s leaves an agent that a hub with %s takes',
    async (_step, _hub, state, temporary, good) => {
      await agent.registerFirst();
      const stored = await agent.stored();
      const file = path.join(agent.directory, 'agent.json');
      await writeFile(file, JSON.stringify(state(stored)));
      if (temporary !== undefined) {
        const left = temporary(stored);
        await writeFile(`${file}.tmp`, typeof left === 'string' ? left : JSON.stringify(left));
      }
      await agent.start({ registerCode: CODE, servesAgent: true });
      const { hub, tried } = await agent.hubs.welcomeToken(good);
      const inForce = String(tried.at(-1));
      expect(tried.length).toBeLessThanOrEqual(2);
      await untilStored({ token: inForce });
      // And the next rotation is not hindered by what was left behind.
      await hub.call('a', ROTATE, { token: NEWER });
      expect(await tokens()).toEqual({ token: NEWER, previous_token: inForce });
    },
  );
});
