import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { PONG } from '../../test/support/fake-agent.ts';
import { READER, startFleet } from '../../test/support/fleet.ts';
import { eventually } from '../../test/support/hub.ts';
import { tidy } from './housekeeping.ts';

const log = pino({ level: 'silent' });

const DAY_MS = 24 * 3_600_000;

describe('install_agent', () => {
  it('gives a code that registers exactly this server’s agent', async () => {
    const { test, perform } = await startFleet();
    const installed = await perform('install_agent', {
      server_id: 'web-1',
      labels: { role: 'web' },
    });
    expect(installed).toMatchObject({
      status: 'pending',
      registration_code: expect.stringMatching(
        /^(?:[0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}$/,
      ),
      deploy_command: expect.stringContaining(installed.registration_code),
      compose_yaml: expect.stringContaining(installed.registration_code),
    });
    expect(Date.parse(installed.expires_at) - Date.now()).toBeGreaterThan(4 * 60_000);
    const agent = await test.dial();
    const code = installed.registration_code;
    expect(await agent.hello({ type: 'register', code, version: '1.0.0' })).toMatchObject({
      type: 'registered',
      agent_id: installed.agent_id,
    });
  });

  it('called again keeps the agent and replaces its code', async () => {
    const { test, perform } = await startFleet();
    const first = await perform('install_agent', { server_id: 'web-1' });
    const second = await perform('install_agent', { server_id: 'web-1' });
    expect(second.agent_id).toBe(first.agent_id);
    const agent = await test.dial();
    const code = first.registration_code;
    expect(await agent.hello({ type: 'register', code, version: '1' })).toMatchObject({
      code: 'CODE_USED',
    });
  });

  it('is refused for a connected agent, and for callers without admin access', async () => {
    const { test, perform } = await startFleet();
    await test.join('web-1');
    await expect(perform('install_agent', { server_id: 'web-1' })).rejects.toMatchObject({
      name: 'AGENT_CONNECTED',
    });
    await expect(perform('install_agent', { server_id: 'web-2' }, READER)).rejects.toMatchObject({
      name: 'ACCESS_DENIED',
    });
  });

  it('uses the code lifetime of the settings', async () => {
    const { test, perform } = await startFleet();
    await test.database.db.settings.set({ agent_code_ttl_minutes: '60' }, Date.now());
    const { expires_at } = await perform('install_agent', { server_id: 'web-1' });
    expect(Date.parse(expires_at) - Date.now()).toBeGreaterThan(59 * 60_000);
  });

  it('a revoked agent can be installed again under the same id', async () => {
    const { test, perform } = await startFleet();
    const { agentId } = await test.join('web-1');
    const revoked = await perform('revoke_agent', { server_id: 'web-1' });
    expect(revoked).toEqual({ success: true, agent_id: agentId, was_connected: true });
    await expect(
      perform('send_agent_command', { server_id: 'web-1', method: 'agent.ping' }),
    ).resolves.toMatchObject({
      status: 'failed',
      error: { name: 'AGENT_REVOKED' },
    });
    expect(await perform('install_agent', { server_id: 'web-1' })).toMatchObject({
      agent_id: agentId,
      status: 'pending',
    });
  });
});

describe('get_agent_status and list_agents', () => {
  it('tell what is known of a connected agent and of one that went', async () => {
    const { test, perform } = await startFleet();
    const { agent } = await test.join('web-1', {
      protocol: 1,
      access: 'operate',
      capabilities: ['agent.ping'],
      host: { hostname: 'web-1.example' },
    });
    const usage = { used: 1, total: 4, percent: 25 };
    const containers = { running: 1, stopped: 0 };
    agent.notify('metrics.update', { cpu: 3, memory: usage, disk: usage, containers });
    agent.notify('health.status', { status: 'healthy', uptime: 9, version: '1.0.0' });
    const status = () => perform('get_agent_status', { server_id: 'web-1' });
    await eventually(async () => expect((await status()).health).toMatchObject({ uptime: 9 }));
    expect(await status()).toMatchObject({
      status: 'connected',
      access: 'operate',
      latency_ms: expect.any(Number),
      address: '127.0.0.1',
      host: { hostname: 'web-1.example' },
      capabilities: ['agent.ping'],
      metrics: { cpu: 3 },
      config: { metrics_interval: 30, health_interval: 60, reconnect_timeout: 30 },
    });
    await test.hub.telemetry.flush();
    agent.cut();
    await eventually(async () => expect((await status()).status).toBe('disconnected'));
    expect(await status()).toMatchObject({
      latency_ms: null,
      connected_at: null,
      health: null,
      metrics: { cpu: 3, memory: usage },
    });
  });

  it('list by label and status, a page at a time, in a fixed order', async () => {
    const { perform } = await startFleet();
    for (const name of ['c', 'a', 'b', 'd']) {
      await perform('install_agent', {
        server_id: name,
        labels: { odd: String(name === 'a' || name === 'c') },
      });
    }
    const list = (args: object) => perform('list_agents', args);
    const first = await list({ limit: 3 });
    expect(first.agents.map((agent) => agent.server_id)).toEqual(['a', 'b', 'c']);
    const second = await list({ limit: 3, cursor: first.next_cursor });
    expect(second).toMatchObject({ agents: [{ server_id: 'd' }] });
    expect(second.next_cursor).toBeUndefined();
    await expect(list({ cursor: 'garbage' })).rejects.toMatchObject({ name: 'INVALID_PARAMS' });
    expect((await list({ labels: { odd: 'true' } })).agents).toHaveLength(2);
    expect((await list({ status: 'connected' })).agents).toHaveLength(0);
  });
});

describe('a database that refuses', () => {
  it('is told as such, with what to do', async () => {
    const { test, perform } = await startFleet();
    test.database.client.exec('PRAGMA query_only = ON');
    test.database.db.close();
    await expect(perform('list_agents', {})).rejects.toMatchObject({
      name: 'DATABASE_UNAVAILABLE',
    });
    // Housekeeping goes on with the next round.
    await expect(tidy(test.database.db, log)).resolves.toBeUndefined();
  });

  it('answers a call while the agent is there all the same', async () => {
    const { test, perform } = await startFleet();
    const { agent } = await test.join('web-1');
    const ping = test.call((await perform('get_agent_status', { server_id: 'web-1' })).agent_id);
    agent.answer((await agent.request()).id, PONG);
    expect(await ping).toEqual(PONG);
  });
});

describe('housekeeping', () => {
  it('keeps codes for 30 days after their time, and removes them then', async () => {
    const { test, perform } = await startFleet();
    await perform('install_agent', { server_id: 'web-1' });
    const count = test.database.client
      .prepare('SELECT count(*) FROM agent_registration_codes')
      .pluck();
    await tidy(test.database.db, log, Date.now() + 29 * DAY_MS);
    expect(count.get()).toBe(1);
    await tidy(test.database.db, log, Date.now() + 31 * DAY_MS);
    expect(count.get()).toBe(0);
  });
});
