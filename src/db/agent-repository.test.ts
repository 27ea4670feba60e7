import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { slowClock } from '../../test/support/slow-clock.ts';
import { temporaryDatabase } from '../../test/support/temporary-database.ts';
import type { AgentHello, Labels } from './agent-row.ts';
import type { TomoDatabase } from './database.ts';

const HELLO = { version: '1.0' };

/** An agent whose id is `id of SERVER` and whose code hash is `code of SERVER`. */
const install = (
  db: TomoDatabase,
  serverId: string,
  labels?: Labels,
  codeHash = `code of ${serverId}`,
) =>
  db.agents.install({
    agentId: `id of ${serverId}`,
    serverId,
    access: 'admin',
    labels,
    codeId: randomUUID(),
    codeHash,
    expiresAt: 2_000,
    now: 1_000,
  });

/** An installed agent that is connected with the token hash `token of SERVER`. */
async function connect(db: TomoDatabase, serverId: string): Promise<string> {
  const { id } = await install(db, serverId);
  const tokenHash = `token of ${serverId}`;
  await db.agents.register({
    codeHash: `code of ${serverId}`,
    tokenHash,
    now: 1_500,
    hello: HELLO,
  });
  return id;
}

const statusOf = async (db: TomoDatabase, id: string) => (await db.agents.findById(id))?.status;

const authenticate = (db: TomoDatabase, agentId: string, hello: AgentHello, now: number) => {
  const tokenHash = `token of ${agentId.replace('id of ', '')}`;
  return db.agents.authenticated({ agentId, tokenHash, hello, identity: null, now });
};

it('finds nothing for what it does not know', async () => {
  const { db } = temporaryDatabase();
  expect(await db.agents.findById('absent')).toBeUndefined();
  expect(await db.agents.findByServer('absent')).toBeUndefined();
  expect(await db.agents.findByTokenHash('absent')).toBeUndefined();
});

it('tells the token in force, the one offered and the revoked one apart', async () => {
  const { client, db } = temporaryDatabase();
  const id = await connect(db, 'web-1');
  await connect(db, 'web-2');
  client
    .prepare(
      "UPDATE agents SET pending_token_hash = 'offered', revoked_token_hash = 'old' WHERE id = ?",
    )
    .run(id);
  const match = async (hash: string) => (await db.agents.findByTokenHash(hash))?.match;
  expect(await db.agents.findByTokenHash('token of web-1')).toEqual({
    agent: await db.agents.findById(id),
    match: 'current',
  });
  expect(await match('offered')).toBe('pending');
  expect(await match('old')).toBe('revoked');
});

it('connects an agent that authenticates, with what it tells of itself', async () => {
  const { db } = temporaryDatabase();
  const id = await connect(db, 'web-1');
  await db.agents.disconnected(id, 1_600);
  const hello = { version: '2.0', protocol: 1, host: { os: 'linux' }, capabilities: ['a'] };
  expect(await authenticate(db, id, { ...hello, reportedAccess: 'read' }, 1_700)).toBe(true);
  expect(await db.agents.findById(id)).toMatchObject({
    ...hello,
    reportedAccess: 'read',
    status: 'connected',
    lastSeen: 1_700,
    registeredAt: 1_500,
  });
});

it('does not connect an agent that was revoked since its token was looked up', async () => {
  const { db } = temporaryDatabase();
  const id = await connect(db, 'web-1');
  await db.agents.revoke(id, 1_600);
  expect(await authenticate(db, id, HELLO, 1_700)).toBe(false);
  expect(await statusOf(db, id)).toBe('revoked');
  await install(db, 'web-1', {}, 'another code');
  expect(await authenticate(db, id, HELLO, 1_800)).toBe(false);
  expect(await statusOf(db, id)).toBe('pending');
});

it('disconnects a connected agent, and leaves any other status alone', async () => {
  const { client, db } = temporaryDatabase();
  const id = await connect(db, 'web-1');
  await db.agents.disconnected(id, 1_600);
  expect(await db.agents.findById(id)).toMatchObject({ status: 'disconnected', lastSeen: 1_600 });
  for (const status of ['pending', 'updating', 'revoked']) {
    client.prepare('UPDATE agents SET status = ?').run(status);
    await db.agents.disconnected(id, 1_700);
    expect(await db.agents.findById(id)).toMatchObject({ status, lastSeen: 1_600 });
  }
});

it('disconnects all agents that were connected or updating when the program ended', async () => {
  const { client, db } = temporaryDatabase();
  const [connected, updating, revoked] = [
    await connect(db, 'web-1'),
    await connect(db, 'web-2'),
    await connect(db, 'web-3'),
  ];
  const { id: pending } = await install(db, 'web-4');
  client.prepare("UPDATE agents SET status = 'updating' WHERE id = ?").run(updating);
  await db.agents.revoke(revoked, 1_600);
  expect(await db.agents.disconnectAll(1_700)).toBe(2);
  expect(await statusOf(db, connected)).toBe('disconnected');
  expect(await statusOf(db, updating)).toBe('disconnected');
  expect(await statusOf(db, revoked)).toBe('revoked');
  expect(await statusOf(db, pending)).toBe('pending');
  expect(await db.agents.findById(connected)).toMatchObject({ lastSeen: 1_500 });
});

it('revokes an agent: no token and no code of it is valid, and its codes are known still', async () => {
  const { client, db } = temporaryDatabase();
  const id = await connect(db, 'web-1');
  client.exec("UPDATE agents SET pending_token_hash = 'offered'");
  await install(db, 'web-1', {}, 'another code');
  expect(await db.agents.revoke(id, 1_600)).toBe(true);
  expect(await statusOf(db, id)).toBe('revoked');
  expect((await db.agents.findByTokenHash('token of web-1'))?.match).toBe('revoked');
  expect((await db.agents.findByTokenHash('offered'))?.match).toBe('revoked');
  for (const codeHash of ['code of web-1', 'another code']) {
    const registering = db.agents.register({
      codeHash,
      tokenHash: 'new',
      now: 1_700,
      hello: HELLO,
    });
    expect(await registering).toEqual({ outcome: 'used' });
  }
});

it('knows the revoked token still after a second revocation', async () => {
  const { db } = temporaryDatabase();
  const id = await connect(db, 'web-1');
  await db.agents.revoke(id, 1_600);
  expect(await db.agents.revoke(id, 1_700)).toBe(true);
  expect((await db.agents.findByTokenHash('token of web-1'))?.match).toBe('revoked');
});

it('answers false when there is no agent to revoke', async () => {
  const { db } = temporaryDatabase();
  expect(await db.agents.revoke('absent', 1_600)).toBe(false);
});

it("sets and clears an agent's own settings", async () => {
  const { db } = temporaryDatabase();
  const { id } = await install(db, 'web-1');
  await db.agents.setConfig(id, { metrics_interval: 10 }, 1_100);
  expect(await db.agents.findById(id)).toMatchObject({
    config: { metrics_interval: 10 },
    updatedAt: 1_100,
  });
  await db.agents.setConfig(id, null, 1_200);
  expect(await db.agents.findById(id)).toMatchObject({ config: null });
});

it('writes when many agents were last heard of', async () => {
  const { db } = temporaryDatabase();
  const ids = [await connect(db, 'web-1'), await connect(db, 'web-2')];
  await db.agents.touch(ids.map((agentId, i) => ({ agentId, lastSeen: 3_000 + i })));
  await db.agents.touch([{ agentId: 'absent', lastSeen: 9_000 }]);
  const seen = (await db.agents.list({ limit: 10 })).map((agent) => agent.lastSeen);
  expect(seen).toEqual([3_000, 3_001]);
});

const listed = async (db: TomoDatabase, filter: object, limit = 10) =>
  (await db.agents.list({ ...filter, limit })).map((agent) => agent.serverId);

it('lists agents by server id, in pages', async () => {
  const { db } = temporaryDatabase();
  for (const id of ['web-2', 'db-1', 'web-10', 'web-1']) await install(db, id);
  expect(await listed(db, {})).toEqual(['db-1', 'web-1', 'web-10', 'web-2']);
  expect(await listed(db, {}, 2)).toEqual(['db-1', 'web-1']);
  expect(await listed(db, { after: 'web-1' }, 2)).toEqual(['web-10', 'web-2']);
  expect(await listed(db, { after: 'web-2' })).toEqual([]);
});

it('lists the agents that meet every condition', async () => {
  const { db } = temporaryDatabase();
  await install(db, 'web-1', { env: 'prod', tier: 'web' });
  await install(db, 'web-2', { env: 'test', tier: 'web' });
  await install(db, 'web-3', { env: 'prod' });
  await connect(db, 'web-4');
  expect(await listed(db, { labels: { env: 'prod' } })).toEqual(['web-1', 'web-3']);
  expect(await listed(db, { labels: { env: 'prod', tier: 'web' } })).toEqual(['web-1']);
  expect(await listed(db, { labels: {} })).toHaveLength(4);
  expect(await listed(db, { status: 'connected' })).toEqual(['web-4']);
  expect(await listed(db, { serverIds: ['web-3', 'web-1', 'absent'] })).toEqual(['web-1', 'web-3']);
  expect(await listed(db, { serverIds: [] })).toEqual([]);
  expect(await listed(db, { status: 'connected', labels: { env: 'prod' } })).toEqual([]);
});

it('lists by more server ids than SQLite takes parameters', async () => {
  const { db } = temporaryDatabase();
  await install(db, 'web-39999');
  const serverIds = Array.from({ length: 40_000 }, (_, i) => `web-${i}`);
  expect(await listed(db, { serverIds })).toEqual(['web-39999']);
});

it.each(['a.b', '$.a', 'a"b', "a'b", 'a\\b', '*', '%', '', "') OR 1=1 --", 'ключ', 'a\u0001b'])(
  'takes a label key for what it is: %j',
  async (key) => {
    const { db } = temporaryDatabase();
    await install(db, 'named', { [key]: 'yes' });
    await install(db, 'other', { env: 'yes', a: '{"b":"yes"}' });
    expect(await listed(db, { labels: { [key]: 'yes' } })).toEqual(['named']);
    expect(await listed(db, { labels: { [key]: '%' } })).toEqual([]);
  },
);

it('removes an agent and its codes with its server', async () => {
  const { client, db } = temporaryDatabase();
  const { id } = await install(db, 'web-1');
  client.exec("DELETE FROM servers WHERE id = 'web-1'");
  expect(await db.agents.findById(id)).toBeUndefined();
  expect(await db.agents.deleteExpiredCodes(9_000)).toBe(0);
});

it('forgets a server with all that is kept of its agent, but not the audit nor another server', async () => {
  const { client, db } = temporaryDatabase();
  const memory = { memoryUsed: 1, memoryTotal: 4, memoryPercent: 25 };
  const disk = { diskUsed: 1, diskTotal: 4, diskPercent: 25 };
  const measured = { cpu: 1, ...memory, ...disk, containersRunning: 1, containersStopped: 0 };
  for (const serverId of ['web-1', 'web-2']) {
    const agentId = await connect(db, serverId);
    await db.events.append([{ agentId, serverId, type: 'connected', at: 1 }]);
    const io = { networkRx: null, networkTx: null, diskRead: null, diskWrite: null };
    const used = { cpu: null, memoryUsed: 1, memoryLimit: 4 };
    await db.metrics.append(
      [{ agentId, at: 1, ...measured }],
      [{ agentId, container: 'c', at: 1, ...used, ...io }],
    );
    const command = { id: serverId, serverId, agentId, actor: 'me', method: 'agent.ping' };
    const asked = { ...command, origin: null, instanceId: null };
    await db.commands.begin({ ...asked, params: {}, startedAt: 1 });
  }
  expect(await db.agents.forget('web-1')).toBe(true);
  expect(await db.agents.forget('web-1')).toBe(false);
  const owners = (table: string, column: string) =>
    client.prepare(`SELECT ${column} FROM ${table} ORDER BY 1`).pluck().all();
  expect(owners('servers', 'id')).toEqual(['web-2']);
  const tables = ['agent_metrics', 'agent_container_metrics', 'agent_events'];
  for (const table of ['agent_registration_codes', ...tables]) {
    expect(owners(table, 'agent_id')).toEqual(['id of web-2']);
  }
  expect(owners('agents', 'id')).toEqual(['id of web-2']);
  expect(owners('commands', 'server_id')).toEqual(['web-1', 'web-2']);
});

it('forgets much of an agent in steps, and the server last, so that it can be asked again', async () => {
  const { client, db } = temporaryDatabase();
  const agentId = await connect(db, 'web-1');
  const events = Array.from({ length: 2_500 }, (_, at) => ({ agentId, type: 'start', at }));
  await db.events.append(events.map((event) => ({ ...event, serverId: 'web-1' })));
  const left = () => client.prepare('SELECT count(*) FROM agent_events').pluck().get();
  slowClock();
  const forgotten = db.agents.forget('web-1');
  for (let turn = 1; turn <= 3; turn += 1) await setImmediate();
  const between = left();
  expect(between).toBeLessThan(2_500);
  expect(between).toBeGreaterThan(0);
  expect(await db.agents.findByServer('web-1')).toBeDefined();
  expect(await forgotten).toBe(true);
  expect(left()).toBe(0);
  expect(await db.agents.findByServer('web-1')).toBeUndefined();
});
