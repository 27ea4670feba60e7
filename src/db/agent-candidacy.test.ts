import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { openHandle, temporaryDatabase } from '../../test/support/temporary-database.ts';
import type { AgentRow } from './agent-row.ts';
import type { TomoDatabase } from './database.ts';

const HELLO = { version: '1.0' };
const NEWER = {
  version: '2.0',
  protocol: 1,
  host: { os: 'linux', machine_id: 'm2' },
  capabilities: ['agent.ping'],
};

const install = (db: TomoDatabase, codeHash: string, serverId = 'web-1') =>
  db.agents.install({
    agentId: `id of ${serverId}`,
    serverId,
    access: 'admin',
    codeId: randomUUID(),
    codeHash,
    expiresAt: 2_000,
    now: 1_000,
  });

const register = (db: TomoDatabase, codeHash: string, now = 1_500, hello: object = HELLO) =>
  db.agents.register({
    codeHash,
    tokenHash: `token of ${codeHash}`,
    now,
    hello: { ...HELLO, ...hello },
  });

const issue = (db: TomoDatabase, codeHash: string, agentId = 'id of web-1') =>
  db.agents.issueTicket({ agentId, codeId: randomUUID(), codeHash, expiresAt: 3_000, now: 1_600 });

const promote = (db: TomoDatabase, codeHash: string) =>
  db.agents.promote({
    agentId: 'id of web-1',
    tokenHash: `token of ${codeHash}`,
    hello: NEWER,
    now: 1_800,
  });

const match = async (db: TomoDatabase, codeHash: string) =>
  (await db.agents.findByTokenHash(`token of ${codeHash}`))?.match;

/** A connected agent with the token of `c1`. */
async function connected(db: TomoDatabase): Promise<AgentRow | undefined> {
  await install(db, 'c1');
  await register(db, 'c1');
  return db.agents.findByServer('web-1');
}

it('gives a candidate a token and changes nothing else of its agent', async () => {
  const { db } = temporaryDatabase();
  const before = await connected(db);
  expect(await issue(db, 't1')).toBe(true);
  const agent = { ...before, candidateIdentity: { machine_id: 'm2' } };
  expect(await register(db, 't1', 1_700, NEWER)).toEqual({ outcome: 'candidate', agent });
  expect(await db.agents.findByServer('web-1')).toEqual(agent);
  expect(await match(db, 't1')).toBe('candidate');
  expect(await match(db, 'c1')).toBe('current');
});

it('takes a ticket once, and not after its time', async () => {
  const { db } = temporaryDatabase();
  await connected(db);
  await issue(db, 't1');
  await register(db, 't1');
  expect(await register(db, 't1')).toEqual({ outcome: 'used' });
  await issue(db, 't2');
  expect(await register(db, 't2', 3_000)).toEqual({ outcome: 'expired' });
});

it('replaces the unused tickets of the agent, and no install code, nor another agent’s ticket', async () => {
  const { db } = temporaryDatabase();
  await connected(db);
  await install(db, 'c2', 'web-2');
  await install(db, 'c3');
  await issue(db, 'other', 'id of web-2');
  await issue(db, 't1');
  await issue(db, 't2');
  expect(await register(db, 't1')).toEqual({ outcome: 'used' });
  expect(await register(db, 'other')).toMatchObject({ outcome: 'candidate' });
  expect(await register(db, 't2')).toMatchObject({ outcome: 'candidate' });
  await issue(db, 't3');
  expect(await register(db, 't2')).toEqual({ outcome: 'used' });
  expect(await register(db, 'c3')).toMatchObject({ outcome: 'registered' });
});

it('issues no ticket for an agent that is unknown or revoked', async () => {
  const { db, client } = temporaryDatabase();
  expect(await issue(db, 't1')).toBe(false);
  await connected(db);
  await db.agents.revoke('id of web-1', 1_600);
  expect(await issue(db, 't1')).toBe(false);
  const tickets = "SELECT count(*) FROM agent_registration_codes WHERE kind = 'candidate'";
  expect(client.prepare(tickets).pluck().get()).toBe(0);
});

it('promotes a candidate: its token is the only one, and it is the agent', async () => {
  const { db } = temporaryDatabase();
  const before = await connected(db);
  const offer = { tokenHash: 'token of rotation', expiresAt: 9_000 };
  await db.agents.offerToken('id of web-1', offer);
  await issue(db, 't1');
  await register(db, 't1');
  await db.agents.disconnected('id of web-1', 1_750);
  expect(await promote(db, 't1')).toBe(true);
  expect(await db.agents.findByServer('web-1')).toEqual({
    ...before,
    ...NEWER,
    status: 'connected',
    lastSeen: 1_800,
    registeredAt: 1_800,
    tokenIssuedAt: 1_800,
    identity: { machine_id: 'm2' },
    updatedAt: 1_800,
  });
  expect(await match(db, 't1')).toBe('current');
  expect(await match(db, 'rotation')).toBeUndefined();
  expect(await match(db, 'c1')).toBe('revoked');
});

it('promotes no candidate twice, and none that a newer one took the place of', async () => {
  const { file, db } = temporaryDatabase();
  await connected(db);
  await issue(db, 't1');
  await register(db, 't1');
  await issue(db, 't2');
  await register(db, 't2');
  expect(await promote(db, 't1')).toBe(false);
  expect(await match(db, 'c1')).toBe('current');
  const other = openHandle(file).db;
  const both = await Promise.all([promote(db, 't2'), promote(other, 't2')]);
  expect(both.toSorted()).toEqual([false, true]);
});

it.each([
  ['dropped', (db: TomoDatabase) => db.agents.dropCandidate('id of web-1')],
  ['revoked', (db: TomoDatabase) => db.agents.revoke('id of web-1', 1_700)],
  ['followed by a fresh code', (db: TomoDatabase) => install(db, 'c2')],
])('ends a candidacy that is %s: token and unused ticket', async (_title, end) => {
  const { db } = temporaryDatabase();
  await connected(db);
  await issue(db, 't1');
  await register(db, 't1');
  await issue(db, 't2');
  await end(db);
  expect(await promote(db, 't1')).toBe(false);
  expect(await match(db, 't1')).toBeUndefined();
  expect(await register(db, 't2')).toEqual({ outcome: 'used' });
});

it('ends a candidacy when another process registers with an install code', async () => {
  const { db } = temporaryDatabase();
  await connected(db);
  await install(db, 'c2');
  await issue(db, 't1');
  await register(db, 't1');
  await register(db, 'c2');
  expect(await match(db, 't1')).toBeUndefined();
  expect(await promote(db, 't1')).toBe(false);
});

it('says whether there was a candidate or a ticket to drop', async () => {
  const { db } = temporaryDatabase();
  await connected(db);
  const drop = () => db.agents.dropCandidate('id of web-1');
  expect(await drop()).toBe(false);
  await issue(db, 't1');
  expect(await drop()).toBe(true);
  await issue(db, 't2');
  await register(db, 't2');
  expect(await drop()).toBe(true);
  await issue(db, 't3');
  await register(db, 't3');
  await promote(db, 't3');
  expect(await drop()).toBe(false);
  expect(await match(db, 't3')).toBe('current');
});
