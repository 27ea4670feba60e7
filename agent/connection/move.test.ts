import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgentUnderTest } from '../../test/support/agent-under-test.ts';
import { fingerprintOf, newServerCertificate } from '../../test/support/certificates.ts';
import { type HubSocket, HubStandIn } from '../../test/support/hub-stand-in.ts';

const { CODE } = AgentUnderTest;
const TOKEN = `token-of-${CODE}`;
const PIN = 'ab'.repeat(32);
const UPDATE = 'config.update';

let agent: AgentUnderTest;
let elsewhere: HubStandIn;
beforeEach(async () => {
  agent = await AgentUnderTest.create();
  elsewhere = await HubStandIn.start();
});
afterEach(async () => {
  await agent[Symbol.asyncDispose]();
  await elsewhere[Symbol.asyncDispose]();
});

async function connected(options = {}, more = {}): Promise<HubSocket> {
  await agent.start({ registerCode: CODE, servesAgent: true, ...options });
  const { hub } = await agent.hubs.welcome({}, more);
  await agent.untilLogged('"connected"');
  return hub;
}

describe('an agent that is told to move', () => {
  it('connects there with its token while it stays, and leaves only then', async () => {
    const hub = await connected();
    const answer = await hub.call('a', UPDATE, { server_url: elsewhere.url, metrics_interval: 9 });
    expect(answer).toMatchObject({ result: { status: 'moving', config: { metrics_interval: 9 } } });
    const there = await elsewhere.accept();
    const hello = await there.next();
    expect(hello).toMatchObject({
      type: 'authenticate',
      token: TOKEN,
      server_url: elsewhere.url,
    });
    expect(hub.socket.readyState).toBe(hub.socket.OPEN);
    there.send({ type: 'authenticated', agent_id: 'agent-1', config: {}, protocol: 1 });
    expect(await hub.closed).toBe(1000);
    expect(await there.call('c', 'agent.ping')).toHaveProperty('result.status', 'ok');
    expect(await agent.stored()).toMatchObject({
      token: TOKEN,
      server_url: elsewhere.url,
      moved_from: agent.hubs.url,
      code_sha256: expect.any(String),
    });
    const again = await there.call('d', UPDATE, { server_url: elsewhere.url });
    expect(again).toHaveProperty('result.status', 'ok');
  });

  it('dials the new address from then on, also after a restart with the old environment', async () => {
    const { run } = await agent.start({ registerCode: CODE, servesAgent: true });
    const { hub } = await agent.hubs.welcome();
    hub.request('a', UPDATE, { server_url: elsewhere.url });
    const { hub: there } = await elsewhere.welcome();
    await hub.closed;
    there.socket.close(1012);
    await elsewhere.welcome();
    agent.ending.abort();
    await run;
    agent.ending = new AbortController();
    await agent.start({ registerCode: CODE });
    const { hello } = await elsewhere.welcome();
    expect(hello).toMatchObject({ type: 'authenticate', server_url: elsewhere.url });
  });

  it('goes on there when the hub ends the old session before the agent does', async () => {
    const hub = await connected();
    hub.request('a', UPDATE, { server_url: elsewhere.url });
    const there = await elsewhere.accept();
    await there.next();
    hub.socket.close(4003);
    await hub.closed;
    await agent.untilLogged('disconnected');
    there.send({ type: 'authenticated', agent_id: 'agent-1', config: {}, protocol: 1 });
    expect(await there.call('b', 'agent.ping')).toHaveProperty('result.status', 'ok');
    expect(agent.endings).toEqual([]);
  });

  it('waits for its commands, and brings their answers along if they take too long', async () => {
    const hub = await connected({ moveLimits: { idleMaxMs: 20 } }, { protocol: 1 });
    hub.request('slow', 'system.exec', { command: 'sleep 0.6; echo done' });
    hub.request('quick', 'system.exec', { command: 'true' });
    hub.request('a', UPDATE, { server_url: elsewhere.url });
    const { hub: there, hello } = await elsewhere.welcome({}, { protocol: 1 });
    expect(hello['held']).toContain('slow');
    expect(await there.answer('slow')).toHaveProperty('result.stdout', 'done\n');
  });

  it('runs nothing that its hello did not name: it refuses until it has left or stays', async () => {
    const hub = await connected();
    hub.request('a', UPDATE, { server_url: elsewhere.url });
    const there = await elsewhere.accept();
    const hello = await there.next();
    const marker = join(agent.directory, 'ran');
    const touch = { command: `touch ${marker}` };
    const refused = await hub.call('b', 'system.exec', touch);
    expect(refused).toHaveProperty('error.data.name', 'LIMIT_REACHED');
    expect(hello['held']).not.toContain('b');
    there.refuse('TOKEN_UNKNOWN', 4001);
    await hub.notification('agent.event');
    expect(existsSync(marker)).toBe(false);
    expect(await hub.call('c', 'system.exec', touch)).toHaveProperty('result.exit_code', 0);
    hub.request('d', UPDATE, { server_url: elsewhere.url });
    const { hub: next } = await elsewhere.welcome();
    expect(await next.call('e', 'agent.ping')).toHaveProperty('result.status', 'ok');
  });

  it.each([
    ['does not know it', (hub: HubSocket) => hub.refuse('TOKEN_UNKNOWN', 4001), /refused/],
    ['ends', (hub: HubSocket) => hub.socket.terminate(), /closed/],
    ['is of a revoked agent', (hub: HubSocket) => hub.refuse('AGENT_REVOKED', 4002), /refused/],
    ['says nothing', () => undefined, /within 0.2 s/],
  ])('stays, and tells why, if a hub there %s', async (_, act, cause) => {
    const hub = await connected({ moveLimits: { moveMaxMs: 200 } });
    hub.request('a', UPDATE, { server_url: elsewhere.url });
    const there = await elsewhere.accept();
    await there.next();
    act(there);
    expect(await hub.notification('agent.event')).toEqual({
      type: 'move_failed',
      server_url: elsewhere.url,
      cause: expect.stringMatching(cause),
    });
    expect(await hub.call('b', 'agent.ping')).toHaveProperty('result.status', 'ok');
    expect(await agent.stored()).toMatchObject({ token: TOKEN, server_url: agent.hubs.url });
    hub.socket.close(1012);
    expect((await agent.hubs.welcome()).hello).toMatchObject({ token: TOKEN });
  });

  it('stays if nobody is there, and can be told again', async () => {
    const hub = await connected();
    hub.request('a', UPDATE, { server_url: 'ws://127.0.0.1:1/ws/agent' });
    const { cause } = await hub.notification('agent.event');
    expect(cause).toContain('ECONNREFUSED');
    hub.request('b', UPDATE, { server_url: elsewhere.url });
    await elsewhere.welcome();
    expect(await hub.closed).toBe(1000);
  });

  it('takes no second address while it moves, and the same one as the same move', async () => {
    const hub = await connected();
    hub.request('slow', 'system.exec', { command: 'sleep 0.5' });
    await hub.call('a', UPDATE, { server_url: elsewhere.url });
    const same = await hub.call('b', UPDATE, { server_url: elsewhere.url });
    expect(same).toHaveProperty('result.status', 'moving');
    const other = await hub.call('c', UPDATE, { server_url: 'ws://127.0.0.1:1/' });
    expect(other).toHaveProperty('error.data.name', 'CONFLICT');
    await elsewhere.welcome();
    expect(await hub.closed).toBe(1000);
  });

  it('does not move if the connection ends before it could', async () => {
    const hub = await connected();
    hub.request('slow', 'system.exec', { command: 'sleep 0.5' });
    await hub.call('a', UPDATE, { server_url: elsewhere.url });
    hub.socket.close(1012);
    expect((await agent.hubs.welcome()).hello).toHaveProperty('server_url', agent.hubs.url);
    expect(agent.logged).toContain('the connection was lost before');
  });

  it('ends while it moves', async () => {
    const { run } = await agent.start({ registerCode: CODE, servesAgent: true });
    const { hub } = await agent.hubs.welcome();
    hub.request('a', UPDATE, { server_url: elsewhere.url });
    await (await elsewhere.accept()).next();
    agent.ending.abort();
    expect(await run).toBe('stopped');
  });

  it('takes no token while it moves with the one it has', async () => {
    const hub = await connected();
    hub.request('a', UPDATE, { server_url: elsewhere.url });
    const there = await elsewhere.accept();
    expect(await there.next()).toHaveProperty('token', TOKEN);
    const refused = await hub.call('b', 'agent.rotate_token', { token: 'n'.repeat(43) });
    expect(refused).toHaveProperty('error.data.name', 'LIMIT_REACHED');
    there.send({ type: 'authenticated', agent_id: 'agent-1', config: {} });
    await hub.closed;
    await there.call('c', 'agent.ping');
    expect(await agent.stored()).toMatchObject({ token: TOKEN });
  });

  it('is not told by a candidate’s hub', async () => {
    const hub = await connected({}, { candidate: true });
    const answer = await hub.call('a', UPDATE, { server_url: elsewhere.url });
    expect(answer).toHaveProperty('error.data.name', 'CONFLICT');
  });
});

describe('the certificate at the new address', () => {
  it('is the one that the hub named, and stays pinned', async () => {
    const pair = await newServerCertificate(['elsewhere.example']);
    await using secure = await HubStandIn.startSecure(pair);
    const fingerprint = fingerprintOf(pair);
    const hub = await connected();
    const move = { server_url: secure.url, server_fingerprint: `SHA256:${fingerprint}` };
    hub.request('a', UPDATE, move);
    const { hub: there } = await secure.welcome();
    expect(await hub.closed).toBe(1000);
    expect(await agent.stored()).toHaveProperty('server_fingerprint', fingerprint);
    there.socket.close(1012);
    const { hub: again } = await secure.welcome();
    // Without a pin no CA vouches for it.
    again.request('b', UPDATE, { server_url: secure.url, server_fingerprint: null });
    const { cause } = await again.notification('agent.event');
    expect(cause).toContain('CA_CERT');
    // The pin goes with the address that it was for.
    again.request('c', UPDATE, { server_url: agent.hubs.url });
    await agent.hubs.welcome();
    await again.closed;
    expect(await agent.stored()).not.toHaveProperty('server_fingerprint');
  });

  it('is refused if it is another', async () => {
    await using secure = await HubStandIn.startSecure(await newServerCertificate(['127.0.0.1']));
    const hub = await connected();
    hub.request('a', UPDATE, { server_url: secure.url, server_fingerprint: PIN });
    const { cause } = await hub.notification('agent.event');
    expect(cause).toContain(PIN);
    expect(await hub.call('b', 'agent.ping')).toHaveProperty('result.status', 'ok');
  });

  it.each([
    ['without an address', { server_fingerprint: PIN }],
    ['for an address without one', { server_url: 'ws://127.0.0.1:1/', server_fingerprint: PIN }],
  ])('cannot be pinned %s', async (_, params) => {
    const hub = await connected();
    const answer = await hub.call('a', UPDATE, { ...params, metrics_interval: 9 });
    expect(answer).toHaveProperty('error.data.name', 'INVALID_PARAMS');
    const after = await hub.call('b', UPDATE, {});
    expect(after).toHaveProperty('result.config.metrics_interval', 30);
  });
});

describe('an agent that another program of ours runs', () => {
  it('says where it dials by that program alone, and refuses to move', async () => {
    await agent.start({ registerCode: CODE, servesAgent: true, hasParent: true });
    const { hub, hello } = await agent.hubs.welcome();
    expect(hello).not.toHaveProperty('server_url');
    const answer = await hub.call('a', UPDATE, { server_url: 'ws://127.0.0.1:1/ws/agent' });
    expect(answer).toHaveProperty('error.data.name', 'CONFLICT');
  });
});

describe('the ceiling', () => {
  it('is lowered by the hub for good, is told in the hello, and never raised', async () => {
    const hub = await connected();
    const lowered = await hub.call('a', UPDATE, { access: 'operate' });
    expect(lowered).toHaveProperty('result.status', 'ok');
    const denied = await hub.call('b', 'system.exec', { command: 'true' });
    expect(denied).toHaveProperty('error.data.name', 'ACCESS_DENIED');
    const raised = await hub.call('c', UPDATE, { access: 'admin' });
    expect(raised).toHaveProperty('error.data.name', 'ACCESS_DENIED');
    expect(await hub.call('d', 'system.info')).toHaveProperty('result.access', 'operate');
    agent.logged = '';
    hub.socket.close(1012);
    const { hello } = await agent.hubs.welcome({}, { access: 'read' });
    expect(hello).toHaveProperty('access', 'operate');
    await agent.untilLogged('"connected"');
    expect(await agent.stored()).toHaveProperty('access', 'read');
  });

  it('of the welcome holds for a call that comes together with it', async () => {
    await agent.start({ registerCode: CODE, servesAgent: true });
    const { hub } = await agent.hubs.welcome({}, { access: 'read' });
    const denied = await hub.call('a', 'system.exec', { command: 'true' });
    expect(denied).toHaveProperty('error.data.name', 'ACCESS_DENIED');
    await agent.untilLogged('"connected"');
    expect(await agent.stored()).toHaveProperty('access', 'read');
  });

  it('is gone when the agent registers with a new code', async () => {
    const { run } = await agent.start({ registerCode: CODE, servesAgent: true });
    await agent.hubs.welcome({}, { access: 'read' });
    await agent.untilLogged('"connected"');
    agent.ending.abort();
    await run;
    agent.ending = new AbortController();
    agent.logged = '';
    await agent.start({ registerCode: 'NEW', servesAgent: true });
    const { hub } = await agent.hubs.welcome({}, { access: 'admin' });
    await agent.untilLogged('"connected"');
    const answer = await hub.call('a', 'system.exec', { command: 'true' });
    expect(answer).toHaveProperty('result.exit_code', 0);
    expect(await agent.stored()).not.toHaveProperty('access');
  });
});
