import { describe, expect, it } from 'vitest';
import { PRESENT, parkCandidate } from '../../test/support/candidate.ts';
import type { FakeAgent } from '../../test/support/fake-agent.ts';
import { eventually, startHub, type TestHub } from '../../test/support/hub.ts';
import { hashToken } from './credentials.ts';

const ABLE = { protocol: 1, capabilities: ['agent.ping', 'agent.rotate_token'] };
const MINUTE_MS = 60_000;

const rotate = (test: TestHub, agentId: string, graceMs = MINUTE_MS) =>
  test.hub.rotateToken(agentId, { graceMs });

/** The token that the hub offers next, and the call to answer. */
async function offer(agent: FakeAgent): Promise<{ id: string; token: string }> {
  const { id, method, params } = await agent.request();
  expect(method).toBe('agent.rotate_token');
  return { id, token: String(params['token']) };
}

/** An agent that was offered a token and keeps it, if it is to. */
async function rotated(test: TestHub, { stores = true } = {}) {
  const joined = await test.join('web-1', ABLE);
  const rotation = rotate(test, joined.agentId);
  const { id, token } = await offer(joined.agent);
  if (stores) {
    joined.agent.answer(id, { status: 'stored' });
    await rotation;
  } else {
    joined.agent.fail(id, { code: -32603, message: 'the disk is full' });
    await expect(rotation).rejects.toMatchObject({ name: 'INTERNAL_ERROR' });
  }
  return { ...joined, newToken: token };
}

/** What the hub answers to a token: a type of welcome or an error's name, and its close code. */
async function answerTo(test: TestHub, token: string): Promise<unknown> {
  const { agent, welcome } = await test.rejoin(token, ABLE);
  return welcome['type'] ?? [welcome['code'], (await agent.closed).code];
}

const UNKNOWN = ['TOKEN_UNKNOWN', 4001];
const REVOKED = ['AGENT_REVOKED', 4002];

describe('a rotation', () => {
  it('writes the token before it is sent, and that it is kept before it answers', async () => {
    const test = await startHub();
    const { agent, agentId, token } = await test.join('web-1', ABLE);
    const before = Date.now();
    const rotation = rotate(test, agentId);
    const offered = await offer(agent);
    expect(offered.token).not.toBe(token);
    const found = await test.database.db.agents.findByTokenHash(hashToken(offered.token));
    expect(found).toMatchObject({ match: 'pending', agent: { pendingTokenStored: false } });
    agent.answer(offered.id, { status: 'stored' });
    const { graceEndsAt } = await rotation;
    expect(graceEndsAt).toBeGreaterThanOrEqual(before + MINUTE_MS);
    expect(await test.row(agentId)).toMatchObject({
      hasPendingToken: true,
      pendingTokenStored: true,
      pendingTokenExpiresAt: graceEndsAt,
    });
  });

  it('leaves both tokens good until the new one is used', async () => {
    const test = await startHub();
    const { token, newToken } = await rotated(test);
    expect(await answerTo(test, token)).toBe('authenticated');
    expect(await answerTo(test, token)).toBe('authenticated');
    expect(await answerTo(test, newToken)).toBe('authenticated');
    expect(await answerTo(test, token)).toEqual(UNKNOWN);
    expect(await answerTo(test, newToken)).toBe('authenticated');
  });

  it('leaves the new token alone when the grace is over and it is kept', async () => {
    const test = await startHub();
    const { token, newToken } = await rotated(test);
    await test.database.db.agents.endGrace(Date.now() + 2 * MINUTE_MS);
    expect(await answerTo(test, token)).toEqual(UNKNOWN);
    expect(await answerTo(test, newToken)).toBe('authenticated');
  });

  it('leaves the old token alone when the agent could not keep the new one', async () => {
    const test = await startHub();
    const { token, newToken } = await rotated(test, { stores: false });
    expect(await test.row(await agentIdOf(test))).toMatchObject({ pendingTokenStored: false });
    await test.database.db.agents.endGrace(Date.now() + 2 * MINUTE_MS);
    expect(await answerTo(test, newToken)).toEqual(UNKNOWN);
    expect(await answerTo(test, token)).toBe('authenticated');
  });

  it('that lost its answer leaves an agent with either token', async () => {
    const test = await startHub();
    const { agent, agentId, token } = await test.join('web-1', ABLE);
    const rotation = expect(rotate(test, agentId)).rejects.toMatchObject({
      name: 'CONNECTION_LOST',
    });
    const offered = await offer(agent);
    agent.cut();
    await rotation;
    expect(await answerTo(test, token)).toBe('authenticated');
    expect(await answerTo(test, offered.token)).toBe('authenticated');
  });

  it('repeated offers another token; the one in force stays good', async () => {
    const test = await startHub();
    const { agent, agentId, token } = await test.join('web-1', ABLE);
    const both = [rotate(test, agentId), rotate(test, agentId)];
    const [first, second] = [await offer(agent), await offer(agent)];
    for (const { id } of [first, second]) agent.answer(id, { status: 'stored' });
    await Promise.all(both);
    expect(await test.row(agentId)).toMatchObject({ pendingTokenStored: true });
    expect(await answerTo(test, first.token)).toEqual(UNKNOWN);
    expect(await answerTo(test, token)).toBe('authenticated');
    expect(await answerTo(test, second.token)).toBe('authenticated');
  });

  it('ends once when 50 sockets use the new token at the same time', async () => {
    const test = await startHub();
    const { newToken, token } = await rotated(test);
    const uses = Array.from({ length: 50 }, () => test.rejoin(newToken, ABLE));
    const types = (await Promise.all(uses)).map(({ welcome }) => welcome['type']);
    expect(new Set(types)).toEqual(new Set(['authenticated']));
    expect(test.hub.counters.connected).toBe(1);
    expect(await answerTo(test, token)).toEqual(UNKNOWN);
  });

  it('is refused for an agent that is away, unknown or cannot take a token', async () => {
    const test = await startHub();
    const { agentId } = await test.join('seed');
    const older = await test.join('web-1', PRESENT);
    const away = await test.join('web-2', ABLE);
    away.agent.cut();
    await eventually(() => expect(test.hub.connected(away.agentId)).toBeUndefined());
    const { writes } = test;
    for (const id of [agentId, older.agentId]) {
      await expect(rotate(test, id)).rejects.toMatchObject({ name: 'METHOD_NOT_FOUND' });
    }
    for (const id of [away.agentId, 'absent']) {
      await expect(rotate(test, id)).rejects.toMatchObject({ name: 'AGENT_NOT_CONNECTED' });
    }
    expect(test.writes).toBe(writes);
  });

  it('is not sent when the token could not be written', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1', ABLE);
    test.database.client.exec('UPDATE agents SET token_hash = NULL');
    await expect(rotate(test, agentId)).rejects.toMatchObject({ name: 'AGENT_NOT_CONNECTED' });
    const ping = test.call(agentId, { id: 'c1' });
    expect(await agent.request()).toMatchObject({ method: 'agent.ping' });
    agent.answer('c1', { status: 'ok', version: '1', agent_id: null });
    await ping;
  });

  it('is the agent’s, and not that of a candidate beside it', async () => {
    const test = await startHub();
    const { agent, agentId } = await test.join('web-1', ABLE);
    const candidate = await parkCandidate(test, agentId, ABLE);
    expect((await candidate.agent.request()).method).toBe('agent.ping');
    const rotation = rotate(test, agentId);
    agent.answer((await offer(agent)).id, { status: 'stored' });
    await rotation;
  });
});

describe('a revocation', () => {
  it('during a rotation ends it and both tokens', async () => {
    const test = await startHub();
    const { agent, agentId, token } = await test.join('web-1', ABLE);
    const rotation = expect(rotate(test, agentId)).rejects.toMatchObject({
      name: 'AGENT_REVOKED',
    });
    const offered = await offer(agent);
    await test.hub.revoke(agentId);
    await rotation;
    expect((await agent.closed).code).toBe(4002);
    for (const each of [token, offered.token]) expect(await answerTo(test, each)).toEqual(REVOKED);
  });

  it('before a rotation leaves nobody to rotate', async () => {
    const test = await startHub();
    const { agentId } = await test.join('web-1', ABLE);
    const revoked = test.hub.revoke(agentId);
    await expect(rotate(test, agentId)).rejects.toMatchObject({ name: 'AGENT_NOT_CONNECTED' });
    expect(await revoked).toBe(true);
  });

  it.each([true, false])(
    'is told to an agent that was away, with either token (kept: %s)',
    async (stores) => {
      const test = await startHub();
      const { agent, agentId, token, newToken } = await rotated(test, { stores });
      agent.cut();
      await eventually(() => expect(test.hub.connected(agentId)).toBeUndefined());
      expect(await test.hub.revoke(agentId)).toBe(false);
      await test.database.db.agents.endGrace(Date.now() + 2 * MINUTE_MS);
      const { writes } = test;
      for (const each of [newToken, token]) expect(await answerTo(test, each)).toEqual(REVOKED);
      expect(test.writes).toBe(writes);
    },
  );
});

describe('a registration with a new code', () => {
  it('tells a process with the tokens of a rotation that it was replaced', async () => {
    const test = await startHub();
    const { token, newToken } = await rotated(test);
    await test.join('web-1', ABLE);
    // An agent tries the older one at once when the newer one is unknown.
    expect(await answerTo(test, newToken)).toEqual(UNKNOWN);
    expect(await answerTo(test, token)).toEqual(REVOKED);
  });

  it('tells a process whose rotation had ended that it was replaced', async () => {
    const test = await startHub();
    const { newToken } = await rotated(test);
    expect(await answerTo(test, newToken)).toBe('authenticated');
    await test.join('web-1', ABLE);
    expect(await answerTo(test, newToken)).toEqual(REVOKED);
  });
});

async function agentIdOf(test: TestHub): Promise<string> {
  return (await test.database.db.agents.findByServer('web-1'))?.id ?? '';
}
