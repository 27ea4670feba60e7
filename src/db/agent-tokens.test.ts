import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { openHandle, temporaryDatabase } from '../../test/support/temporary-database.ts';
import type { AgentHello, AgentHost } from './agent-row.ts';
import type { TomoDatabase } from './database.ts';

const ABLE = { version: '1.0', protocol: 1, capabilities: ['agent.ping', 'agent.rotate_token'] };

/** An agent `id of SERVER` that registered at 1,000 and has the token `first of SERVER`. */
async function registered(db: TomoDatabase, serverId = 'web-1', hello: AgentHello = ABLE) {
  const agentId = `id of ${serverId}`;
  const codeHash = `code of ${serverId}`;
  const code = { codeId: randomUUID(), codeHash, expiresAt: 2_000, now: 900 };
  await db.agents.install({ agentId, serverId, access: 'admin', ...code });
  await db.agents.register({ codeHash, tokenHash: `first of ${serverId}`, now: 1_000, hello });
  return agentId;
}

/** The same, with the token `second` offered at 2,000 for 100 ms. */
async function offered(db: TomoDatabase): Promise<string> {
  const id = await registered(db);
  expect(await db.agents.offerToken(id, { tokenHash: 'second', expiresAt: 2_100 })).toBe(true);
  return id;
}

const use = (db: TomoDatabase, tokenHash: string, now = 2_050, identity: AgentHost | null = null) =>
  db.agents.authenticated({ agentId: 'id of web-1', tokenHash, hello: ABLE, identity, now });

const match = async (db: TomoDatabase, tokenHash: string) =>
  (await db.agents.findByTokenHash(tokenHash))?.match;

const row = (db: TomoDatabase) => db.agents.findByServer('web-1');

const PLAIN = { hasPendingToken: false, pendingTokenExpiresAt: null, pendingTokenStored: false };

describe('a token that a rotation offers', () => {
  it('is good beside the one in force, which may be used any number of times', async () => {
    const { db } = temporaryDatabase();
    await offered(db);
    expect(await match(db, 'first of web-1')).toBe('current');
    expect(await match(db, 'second')).toBe('pending');
    const pending = { hasPendingToken: true, pendingTokenExpiresAt: 2_100 };
    for (const now of [2_010, 2_020]) expect(await use(db, 'first of web-1', now)).toBe(true);
    expect(await row(db)).toMatchObject({
      ...pending,
      pendingTokenStored: false,
      tokenIssuedAt: 1_000,
    });
    expect(await match(db, 'second')).toBe('pending');
  });

  it('is the only one from its first use on', async () => {
    const { db } = temporaryDatabase();
    await offered(db);
    expect(await use(db, 'second', 2_050, { machine_id: 'm1' })).toBe(true);
    expect(await row(db)).toMatchObject({
      ...PLAIN,
      tokenIssuedAt: 2_050,
      identity: { machine_id: 'm1' },
      status: 'connected',
    });
    expect(await match(db, 'second')).toBe('current');
    expect(await match(db, 'first of web-1')).toBeUndefined();
    expect(await use(db, 'first of web-1')).toBe(false);
    expect(await use(db, 'second', 2_060)).toBe(true);
    expect(await row(db)).toMatchObject({ tokenIssuedAt: 2_050, lastSeen: 2_060 });
  });

  it('takes the place of one offered before', async () => {
    const { db } = temporaryDatabase();
    const id = await offered(db);
    await db.agents.tokenStored(id, 'second', 2_020);
    expect(await db.agents.offerToken(id, { tokenHash: 'third', expiresAt: 2_200 })).toBe(true);
    expect(await db.agents.tokenStored(id, 'second', 2_030)).toBe(false);
    expect(await row(db)).toMatchObject({
      pendingTokenExpiresAt: 2_200,
      pendingTokenStored: false,
    });
    expect(await match(db, 'second')).toBeUndefined();
    expect(await match(db, 'third')).toBe('pending');
    expect(await match(db, 'first of web-1')).toBe('current');
  });

  it('is used by one of 50 at the same time, over two handles, without harm to the others', async () => {
    const { file, db } = temporaryDatabase();
    await offered(db);
    const other = openHandle(file).db;
    const uses = Array.from({ length: 50 }, (_, i) => use(i % 2 ? db : other, 'second', 2_050 + i));
    expect(new Set(await Promise.all(uses))).toEqual(new Set([true]));
    expect(await row(db)).toMatchObject({ ...PLAIN, tokenIssuedAt: 2_050 });
  });

  it('is offered to no agent that is unknown, pending or revoked', async () => {
    const { db } = temporaryDatabase();
    const offer = { tokenHash: 'second', expiresAt: 2_100 };
    expect(await db.agents.offerToken('absent', offer)).toBe(false);
    const id = await registered(db);
    await db.agents.revoke(id, 1_500);
    expect(await db.agents.offerToken(id, offer)).toBe(false);
    const code = { codeId: randomUUID(), codeHash: 'c2', expiresAt: 3_000, now: 1_600 };
    await db.agents.install({ agentId: id, serverId: 'web-1', access: 'admin', ...code });
    expect(await db.agents.offerToken(id, offer)).toBe(false);
    expect(await match(db, 'second')).toBeUndefined();
  });
});

describe('the end of the grace', () => {
  it('puts a token in force that the agent keeps', async () => {
    const { db } = temporaryDatabase();
    const id = await offered(db);
    expect(await db.agents.tokenStored(id, 'second', 2_010)).toBe(true);
    expect(await row(db)).toMatchObject({ pendingTokenStored: true });
    expect(await db.agents.endGrace(2_099)).toBe(0);
    expect(await match(db, 'first of web-1')).toBe('current');
    expect(await db.agents.endGrace(2_100)).toBe(1);
    expect(await row(db)).toMatchObject({ ...PLAIN, tokenIssuedAt: 2_100 });
    expect(await match(db, 'second')).toBe('current');
    expect(await match(db, 'first of web-1')).toBeUndefined();
    expect(await db.agents.endGrace(9_000)).toBe(0);
  });

  it('drops a token that the agent did not say it keeps', async () => {
    const { db } = temporaryDatabase();
    await offered(db);
    expect(await db.agents.endGrace(2_100)).toBe(1);
    expect(await row(db)).toMatchObject({ ...PLAIN, tokenIssuedAt: 1_000 });
    expect(await match(db, 'second')).toBeUndefined();
    expect(await match(db, 'first of web-1')).toBe('current');
  });

  it('is each agent’s own', async () => {
    const { db } = temporaryDatabase();
    await offered(db);
    const other = await registered(db, 'web-2');
    await db.agents.offerToken(other, { tokenHash: 'other', expiresAt: 2_300 });
    expect(await db.agents.endGrace(2_200)).toBe(1);
    expect(await match(db, 'other')).toBe('pending');
  });
});

describe('a revocation during a rotation', () => {
  it.each([true, false])('ends both tokens, and knows both (stored: %s)', async (stored) => {
    const { db } = temporaryDatabase();
    const id = await offered(db);
    if (stored) await db.agents.tokenStored(id, 'second', 2_010);
    await db.agents.revoke(id, 2_020);
    const tokens = ['first of web-1', 'second'];
    for (const token of tokens) expect(await match(db, token)).toBe('revoked');
    for (const token of tokens) expect(await use(db, token)).toBe(false);
    expect(await row(db)).toMatchObject({ ...PLAIN, status: 'revoked' });
    expect(await db.agents.tokenStored(id, 'second', 2_030)).toBe(false);
    expect(await db.agents.endGrace(9_000)).toBe(0);
    for (const token of tokens) expect(await match(db, token)).toBe('revoked');
  });

  it('stays known when the agent is installed, registered and rotated anew', async () => {
    const { db } = temporaryDatabase();
    const id = await offered(db);
    await db.agents.revoke(id, 2_020);
    const code = { codeId: randomUUID(), codeHash: 'c2', expiresAt: 3_000, now: 2_100 };
    await db.agents.install({ agentId: id, serverId: 'web-1', access: 'admin', ...code });
    expect(await match(db, 'second')).toBe('revoked');
    await db.agents.register({ codeHash: 'c2', tokenHash: 'third', now: 2_200, hello: ABLE });
    expect(await match(db, 'first of web-1')).toBe('revoked');
    expect(await db.agents.offerToken(id, { tokenHash: 'fourth', expiresAt: 9_000 })).toBe(true);
    expect(await use(db, 'fourth')).toBe(true);
    expect(await match(db, 'first of web-1')).toBe('revoked');
    expect(await match(db, 'third')).toBeUndefined();
  });
});

describe('tokens that are due', () => {
  const due = async (db: TomoDatabase, before = 5_000, limit = 10) =>
    (await db.agents.tokensDue(before, limit)).map(({ serverId }) => serverId);

  it('are those given before a time to connected agents that can take another', async () => {
    const { db } = temporaryDatabase();
    for (const serverId of ['web-1', 'web-2', 'away']) await registered(db, serverId);
    await registered(db, 'seed', { version: '1.0' });
    await registered(db, 'older', { version: '1.0', capabilities: ['agent.ping'] });
    await db.agents.disconnected('id of away', 1_100);
    expect(await due(db)).toEqual(['web-1', 'web-2']);
    expect(await due(db, 5_000, 1)).toEqual(['web-1']);
    expect(await due(db, 1_000)).toEqual([]);
  });

  it('are not those of agents that have one pending', async () => {
    const { db } = temporaryDatabase();
    await offered(db);
    expect(await due(db)).toEqual([]);
    await db.agents.endGrace(2_100);
    expect(await due(db)).toEqual(['web-1']);
  });

  it('begin with the oldest', async () => {
    const { db } = temporaryDatabase();
    await offered(db);
    await registered(db, 'web-2');
    await use(db, 'second');
    expect(await due(db)).toEqual(['web-2', 'web-1']);
  });
});

describe('an agent’s ceiling', () => {
  it('is lowered and never raised', async () => {
    const { db } = temporaryDatabase();
    const id = await registered(db);
    expect(await db.agents.lowerAccess(id, 'operate', 3_000)).toBe(true);
    expect(await row(db)).toMatchObject({ access: 'operate', updatedAt: 3_000 });
    expect(await db.agents.lowerAccess(id, 'operate', 3_100)).toBe(true);
    expect(await db.agents.lowerAccess(id, 'admin', 3_200)).toBe(false);
    expect(await db.agents.lowerAccess(id, 'read', 3_300)).toBe(true);
    expect(await db.agents.lowerAccess('absent', 'read', 3_300)).toBe(false);
    expect(await row(db)).toMatchObject({ access: 'read' });
  });
});

describe('an agent’s machine', () => {
  it('is set and forgotten', async () => {
    const { db } = temporaryDatabase();
    const id = await registered(db);
    expect(await db.agents.setIdentity(id, { engine_id: 'e1' }, 3_000)).toBe(true);
    expect(await row(db)).toMatchObject({ identity: { engine_id: 'e1' }, updatedAt: 3_000 });
    expect(await db.agents.setIdentity(id, null, 3_000)).toBe(true);
    expect(await row(db)).toMatchObject({ identity: null });
    expect(await db.agents.setIdentity('absent', null, 3_000)).toBe(false);
  });
});
