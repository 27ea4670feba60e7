import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { startScript } from '../../test/support/child-script.ts';
import {
  MIGRATIONS_DIR,
  openHandle,
  temporaryDatabase,
} from '../../test/support/temporary-database.ts';
import type { AgentHello } from './agent-row.ts';
import type { TomoDatabase } from './database.ts';

const HELLO: AgentHello = {
  version: '1.2.3',
  protocol: 1,
  host: { hostname: 'web', os: 'linux', arch: undefined },
  capabilities: ['agent.ping', 'system.info'],
  reportedAccess: 'operate',
};

const install = (db: TomoDatabase, codeHash: string, more: object = {}) =>
  db.agents.install({
    agentId: randomUUID(),
    serverId: 'web-1',
    access: 'admin',
    codeId: randomUUID(),
    codeHash,
    expiresAt: 2_000,
    now: 1_000,
    ...more,
  });

const register = (db: TomoDatabase, codeHash: string, now = 1_500, hello = HELLO) =>
  db.agents.register({ codeHash, tokenHash: `token of ${codeHash} at ${now}`, now, hello });

const outcome = async (db: TomoDatabase, codeHash: string, now?: number) =>
  (await register(db, codeHash, now)).outcome;

it('makes the server and a pending agent when the server is first named', async () => {
  const { db } = temporaryDatabase();
  const agent = await install(db, 'c1', { agentId: 'a1', labels: { env: 'prod' } });
  expect(agent).toEqual({
    id: 'a1',
    serverId: 'web-1',
    labels: { env: 'prod' },
    version: null,
    status: 'pending',
    access: 'admin',
    candidateAccess: null,
    candidateIdentity: null,
    reportedAccess: null,
    protocol: null,
    host: null,
    capabilities: null,
    lastSeen: null,
    registeredAt: null,
    tokenIssuedAt: null,
    hasPendingToken: false,
    pendingTokenExpiresAt: null,
    pendingTokenStored: false,
    identity: null,
    config: null,
    createdAt: 1_000,
    updatedAt: 1_000,
  });
  expect(await db.agents.findByServer('web-1')).toEqual(agent);
  expect(await db.agents.findById('a1')).toEqual(agent);
});

it('keeps the agent, its status and its token when it is installed again', async () => {
  const { db } = temporaryDatabase();
  const first = await install(db, 'c1');
  await register(db, 'c1');
  const again = await install(db, 'c2', { access: 'read', now: 1_700 });
  expect(again).toMatchObject({
    id: first.id,
    status: 'connected',
    access: 'admin',
    createdAt: 1_000,
    updatedAt: 1_700,
  });
  expect(await db.agents.findByTokenHash('token of c1 at 1500')).toMatchObject({
    match: 'current',
  });
});

it('gives the ceiling with the use of the code, at once only where there is no token', async () => {
  const { db } = temporaryDatabase();
  await install(db, 'c1', { access: 'operate' });
  expect(await install(db, 'c2', { access: 'read' })).toMatchObject({ access: 'read' });
  await register(db, 'c2');
  const { id } = await install(db, 'c3', { access: 'admin' });
  expect(await db.agents.findById(id)).toMatchObject({ access: 'read' });
  expect(await register(db, 'c3')).toMatchObject({ agent: { access: 'admin' } });
});

it('gives no code that was issued before a ceiling higher than one lowered since', async () => {
  const { db } = temporaryDatabase();
  const { id } = await install(db, 'c1');
  await register(db, 'c1');
  await install(db, 'c2', { access: 'admin' });
  expect(await db.agents.lowerAccess(id, 'read', 1_600)).toBe(true);
  expect(await register(db, 'c2', 1_700)).toMatchObject({ agent: { access: 'read' } });
});

it('replaces the labels only when some are given', async () => {
  const { db } = temporaryDatabase();
  await install(db, 'c1', { labels: { env: 'prod', rack: '7' } });
  expect(await install(db, 'c2')).toMatchObject({ labels: { env: 'prod', rack: '7' } });
  expect((await install(db, 'c3', { labels: { env: 'test' } })).labels).toEqual({ env: 'test' });
  expect((await install(db, 'c4', { labels: {} })).labels).toEqual({});
});

it('makes a revoked agent pending again, and still knows its revoked token', async () => {
  const { db } = temporaryDatabase();
  const { id } = await install(db, 'c1');
  await register(db, 'c1');
  await db.agents.revoke(id, 1_600);
  expect(await install(db, 'c2')).toMatchObject({ id, status: 'pending' });
  expect(await outcome(db, 'c2')).toBe('registered');
  expect(await db.agents.findByTokenHash('token of c1 at 1500')).toMatchObject({
    agent: { id, status: 'connected' },
    match: 'revoked',
  });
});

it('voids the earlier codes of the agent, and of no other, and knows them still', async () => {
  const { db } = temporaryDatabase();
  await install(db, 'other', { serverId: 'web-2' });
  await install(db, 'c1');
  await install(db, 'c2');
  expect(await outcome(db, 'c1')).toBe('used');
  expect(await outcome(db, 'other')).toBe('registered');
  expect(await outcome(db, 'c2')).toBe('registered');
});

it('changes nothing when a part of the installation fails', async () => {
  const { db } = temporaryDatabase();
  await install(db, 'c1', { labels: { env: 'prod' } });
  await install(db, 'taken', { serverId: 'web-2' });
  const clash = install(db, 'taken', { access: 'read', labels: { env: 'test' } });
  await expect(clash).rejects.toMatchObject({ name: 'DatabaseError', code: 'other' });
  expect(await db.agents.findByServer('web-1')).toMatchObject({
    access: 'admin',
    labels: { env: 'prod' },
  });
  expect(await outcome(db, 'c1')).toBe('registered');
});

it('registers with a code: token, status and what the agent tells of itself', async () => {
  const { db } = temporaryDatabase();
  const { id } = await install(db, 'c1', { labels: { env: 'prod' } });
  const result = await register(db, 'c1');
  expect(result).toEqual({
    outcome: 'registered',
    agent: expect.objectContaining({
      id,
      labels: { env: 'prod' },
      status: 'connected',
      version: '1.2.3',
      protocol: 1,
      host: { hostname: 'web', os: 'linux' },
      capabilities: ['agent.ping', 'system.info'],
      reportedAccess: 'operate',
      lastSeen: 1_500,
      registeredAt: 1_500,
      updatedAt: 1_500,
    }),
  });
  expect(await db.agents.findByTokenHash('token of c1 at 1500')).toMatchObject({ agent: { id } });
});

it('clears what an earlier agent told and this one leaves out', async () => {
  const { db } = temporaryDatabase();
  await install(db, 'c1');
  await register(db, 'c1');
  await install(db, 'c2');
  expect(await register(db, 'c2', 1_600, { version: '0.1' })).toMatchObject({
    agent: { version: '0.1', protocol: null, host: null, capabilities: null, reportedAccess: null },
  });
  expect(await db.agents.findByServer('web-1')).toMatchObject({ host: null, capabilities: null });
});

it('knows the earlier token as revoked, and one that a rotation offered no more', async () => {
  const { db } = temporaryDatabase();
  const { id } = await install(db, 'c1');
  await register(db, 'c1');
  await db.agents.offerToken(id, { tokenHash: 'offered', expiresAt: 9_000 });
  await install(db, 'c2');
  expect(await register(db, 'c2', 1_700)).toMatchObject({
    agent: {
      hasPendingToken: false,
      pendingTokenExpiresAt: null,
      pendingTokenStored: false,
      tokenIssuedAt: 1_700,
    },
  });
  expect(await db.agents.findByTokenHash('token of c1 at 1500')).toMatchObject({
    match: 'revoked',
  });
  expect(await db.agents.findByTokenHash('offered')).toBeUndefined();
});

it('takes the machine of the registration for that of the token', async () => {
  const { db } = temporaryDatabase();
  await install(db, 'c1');
  const host = { hostname: 'web', machine_id: 'm1', engine_id: '' };
  const first = await register(db, 'c1', 1_500, { ...HELLO, host });
  expect(first).toMatchObject({ agent: { identity: { machine_id: 'm1' } } });
  await install(db, 'c2');
  expect(await register(db, 'c2')).toMatchObject({ agent: { identity: null } });
});

it('refuses an unknown, a used and an expired code, and writes nothing', async () => {
  const { file, db } = temporaryDatabase();
  await install(db, 'c1');
  await install(db, 'c2', { serverId: 'web-2' });
  await register(db, 'c1');
  const observer = openHandle(file).client;
  const version = () => observer.pragma('data_version', { simple: true });
  const before = version();
  expect(await outcome(db, 'absent')).toBe('unknown');
  expect(await outcome(db, 'c1')).toBe('used');
  expect(await outcome(db, 'c1', 2_000)).toBe('used');
  expect(await outcome(db, 'c2', 2_000)).toBe('expired');
  expect(version()).toBe(before);
  expect(await outcome(db, 'c2', 1_999)).toBe('registered');
  expect(version()).not.toBe(before);
});

it('lets exactly one of 50 simultaneous uses of a code win, over two handles', async () => {
  const { file, db } = temporaryDatabase();
  const other = openHandle(file).db;
  await install(db, 'c1');
  const uses = Array.from({ length: 50 }, (_, i) => register(i % 2 ? db : other, 'c1', 1_500 + i));
  const outcomes = (await Promise.all(uses)).map((result) => result.outcome);
  expect(outcomes.filter((each) => each === 'registered')).toHaveLength(1);
  expect(outcomes.filter((each) => each === 'used')).toHaveLength(49);
});

const USE_CODE = `
  import { openDatabase } from ${JSON.stringify(new URL('database.ts', import.meta.url).href)};
  const [, file, migrationsDir, name] = process.argv;
  const db = await openDatabase({ file, migrationsDir });
  console.log('ready');
  process.stdin.once('data', async () => {
    const uses = Array.from({ length: 25 }, (_, i) =>
      db.agents.register({ codeHash: 'c1', tokenHash: name + i, now: 1500, hello: { version: '1' } }));
    console.log(JSON.stringify((await Promise.all(uses)).map((use) => use.outcome)));
    process.exit();
  });
`;

it('lets exactly one of 50 simultaneous uses of a code win, over two processes', async () => {
  const { file, db } = temporaryDatabase();
  await install(db, 'c1');
  const users = ['a', 'b'].map((name) => startScript(USE_CODE, [file, MIGRATIONS_DIR, name]));
  for (const user of users) expect(await user.nextLine()).toBe('ready');
  for (const user of users) user.send('go');
  const lines = await Promise.all(users.map((user) => user.nextLine()));
  const outcomes: string[] = lines.flatMap((line) => JSON.parse(line));
  expect(outcomes.filter((each) => each === 'registered')).toHaveLength(1);
  expect(outcomes.filter((each) => each === 'used')).toHaveLength(49);
});

it('forgets the codes that expired before a time', async () => {
  const { db } = temporaryDatabase();
  await install(db, 'c1', { expiresAt: 1_999 });
  await install(db, 'c2', { serverId: 'web-2', expiresAt: 2_000 });
  expect(await db.agents.deleteExpiredCodes(2_000)).toBe(1);
  expect(await outcome(db, 'c1')).toBe('unknown');
  expect(await outcome(db, 'c2')).toBe('registered');
});
