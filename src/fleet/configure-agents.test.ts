import { describe, expect, it } from 'vitest';
import { READER, startFleet, type TestFleet } from '../../test/support/fleet.ts';

const URL_NOW = 'wss://new.example.org/tomo/ws/agent';
const FINGERPRINT = 'AB'.repeat(32);

/** Everything that configure_agents may change, to see that a refusal changed nothing. */
async function stateOf({ test }: TestFleet): Promise<unknown> {
  const agents = await test.database.db.agents.list({ limit: 100 });
  const rows = agents.map(({ serverId, access, config, identity }) => [
    serverId,
    access,
    config,
    identity,
  ]);
  return [rows, await test.database.db.settings.all()];
}

describe('configure_agents', () => {
  it('sends the fleet’s new default to connected agents and keeps it for the others', async () => {
    const { test, perform } = await startFleet();
    const { agent } = await test.join('web-1', { protocol: 1 }, { access: 'read' });
    await perform('install_agent', { server_id: 'web-2' });
    const configured = perform('configure_agents', { settings: { metrics_interval: 10 } });
    const { id, method, params } = await agent.request();
    expect({ method, params }).toMatchObject({
      method: 'config.update',
      params: { metrics_interval: 10, health_interval: 60 },
    });
    agent.answer(id, { status: 'ok' });
    expect(await configured).toMatchObject({
      scope: 'fleet',
      agents: [
        { server_id: 'web-1', applied: true, config: { metrics_interval: 10 } },
        { server_id: 'web-2', applied: false, config: { metrics_interval: 10 } },
      ],
    });
  });

  it('gives chosen agents settings of their own, which a later default does not undo', async () => {
    const { test, perform } = await startFleet();
    const { agentId } = await test.install('web-1');
    await test.install('web-2');
    await perform('configure_agents', { server_ids: ['web-1'], settings: { metrics_interval: 5 } });
    const { agents } = await perform('configure_agents', { settings: { metrics_interval: 90 } });
    expect(agents.map(({ config }) => config.metrics_interval)).toEqual([5, 90]);
    expect((await test.row(agentId))?.config).toEqual({ metrics_interval: 5 });
  });

  it('says of an agent that refuses its settings that they were not applied', async () => {
    const { test, perform } = await startFleet();
    const { agent } = await test.join('web-1', { protocol: 1 });
    const configured = perform('configure_agents', { settings: { health_interval: 20 } });
    agent.fail((await agent.request()).id, { code: -32_603, message: 'no' });
    expect((await configured).agents).toMatchObject([{ applied: false }]);
  });

  it('changes nothing if one of the named servers is unknown, or for a reader', async () => {
    const fleet = await startFleet();
    await fleet.test.install('web-1');
    const before = await stateOf(fleet);
    const settings = { metrics_interval: 5, access: 'read' };
    const args = { server_ids: ['web-1', 'nope'], settings };
    await expect(fleet.perform('configure_agents', args)).rejects.toMatchObject({
      name: 'UNKNOWN_SERVER',
      facts: { server_ids: ['nope'] },
    });
    await expect(
      fleet.perform('configure_agents', { server_ids: ['web-1'], settings }, READER),
    ).rejects.toMatchObject({ name: 'ACCESS_DENIED' });
    expect(await stateOf(fleet)).toEqual(before);
  });
});

describe('configure_agents access', () => {
  it('tells an agent that grants less by itself no higher level than its own', async () => {
    const { test, perform } = await startFleet();
    const { agent } = await test.join('web-1', { protocol: 1, access: 'read' });
    const change = perform('configure_agents', {
      server_ids: ['web-1'],
      settings: { access: 'operate' },
    });
    const { id, params } = await agent.request();
    expect(params).toEqual({ access: 'read' });
    agent.answer(id, { status: 'ok' });
    expect(await change).toMatchObject({ agents: [{ access: 'read', applied: true }] });
  });

  it('lowers what a connected agent may do at once, and tells it', async () => {
    const { test, perform } = await startFleet();
    const { agent, agentId } = await test.join('web-1', { protocol: 1, access: 'admin' });
    await test.join('web-2', { protocol: 1 });
    const configured = perform('configure_agents', {
      server_ids: ['web-1'],
      settings: { access: 'read' },
    });
    const { id, method, params } = await agent.request();
    expect({ method, params }).toEqual({ method: 'config.update', params: { access: 'read' } });
    // Before the agent has answered: the hub itself holds it to the ceiling.
    await expect(
      test.call(agentId, { method: 'system.exec', params: { command: 'true' } }),
    ).rejects.toMatchObject({ name: 'ACCESS_DENIED' });
    agent.answer(id, { status: 'ok' });
    expect(await configured).toMatchObject({
      scope: 'selected',
      agents: [{ server_id: 'web-1', access: 'read', applied: true }],
    });
    const listed = await perform('list_agents', {});
    expect(listed.agents.map(({ access }) => access)).toEqual(['read', 'admin']);
    expect((await test.row(agentId))?.config).toBeNull();
  });

  it('reaches agents chosen by labels, also those that are away', async () => {
    const { test, perform } = await startFleet();
    await perform('install_agent', { server_id: 'web-1', labels: { role: 'web' } });
    await perform('install_agent', { server_id: 'db-1', labels: { role: 'db' } });
    const settings = { access: 'operate' };
    const configured = await perform('configure_agents', { labels: { role: 'web' }, settings });
    expect(configured.agents).toMatchObject([
      { server_id: 'web-1', access: 'operate', applied: true },
    ]);
    const rows = await test.database.db.agents.list({ limit: 9 });
    expect(rows.map(({ access }) => access)).toEqual(['admin', 'operate']);
  });

  it('holds an agent that knows no ceiling of the hub’s to it all the same', async () => {
    const { test, perform } = await startFleet();
    const { agent, agentId } = await test.join('seed');
    const change = { server_ids: ['seed'], settings: { access: 'read' } };
    expect((await perform('configure_agents', change)).agents).toMatchObject([
      { access: 'read', applied: true },
    ]);
    await expect(
      test.call(agentId, { method: 'system.exec', params: { command: 'true' } }),
    ).rejects.toMatchObject({ name: 'ACCESS_DENIED' });
    const intervals = perform('configure_agents', {
      server_ids: ['seed'],
      settings: { access: 'read', metrics_interval: 10 },
    });
    const { id, params } = await agent.request();
    expect(params).toEqual({ metrics_interval: 10, health_interval: 60, reconnect_timeout: 30 });
    agent.answer(id, { status: 'ok' });
    expect((await intervals).agents).toMatchObject([{ applied: true }]);
    const refused = perform('configure_agents', {
      server_ids: ['seed'],
      settings: { metrics_interval: 20 },
    });
    agent.fail((await agent.request()).id, { code: -32_603, message: 'no' });
    expect((await refused).agents).toMatchObject([
      { applied: false, note: expect.stringContaining('did not take it: no') },
    ]);
  });

  it('is never raised, for any of the chosen, and nothing else is done either', async () => {
    const fleet = await startFleet();
    await fleet.test.install('low', { access: 'read' });
    await fleet.test.install('mid', { access: 'operate' });
    await fleet.test.install('high', { access: 'admin' });
    const before = await stateOf(fleet);
    const args = {
      server_ids: ['low', 'mid', 'high'],
      settings: { access: 'operate', metrics_interval: 10 },
    };
    await expect(fleet.perform('configure_agents', args)).rejects.toMatchObject({
      name: 'ACCESS_DENIED',
      facts: { server_ids: ['low'] },
    });
    expect(await stateOf(fleet)).toEqual(before);
  });
});

describe('configure_agents server_url', () => {
  it('tells connected agents the whole URL, and keeps it for the others', async () => {
    const { test, perform } = await startFleet();
    const { agent } = await test.join('a', { protocol: 1 });
    await test.install('b');
    const configured = perform('configure_agents', {
      settings: { server_url: 'https://new.example.org/tomo/', server_fingerprint: FINGERPRINT },
    });
    const { id, params } = await agent.request();
    const address = { server_url: URL_NOW, server_fingerprint: FINGERPRINT.toLowerCase() };
    expect(params).toEqual(address);
    agent.answer(id, { status: 'moving' });
    expect((await configured).agents).toMatchObject([
      { server_id: 'a', server_url: URL_NOW, applied: true },
      { server_id: 'b', server_url: URL_NOW, applied: false },
    ]);
    expect(await test.database.db.settings.all()).toMatchObject({
      agent_server_url: URL_NOW,
      agent_server_fingerprint: FINGERPRINT.toLowerCase(),
    });
  });

  it('of a chosen agent goes before the fleet’s, until it is cleared', async () => {
    const { test, perform } = await startFleet();
    const { agentId } = await test.install('a');
    const own = 'wss://own.example.org/ws/agent';
    const configure = async (args: object) => (await perform('configure_agents', args)).agents;
    await configure({ settings: { server_url: URL_NOW, metrics_interval: 9 } });
    await configure({
      server_ids: ['a'],
      settings: { server_url: 'https://own.example.org', server_fingerprint: FINGERPRINT },
    });
    expect(await configure({ settings: { metrics_interval: 10 } })).toMatchObject([
      { server_url: own },
    ]);
    await configure({ server_ids: ['a'], settings: { server_url: own } });
    expect((await test.row(agentId))?.config).toEqual({ server_url: own });
    expect(await configure({ server_ids: ['a'], settings: { server_url: null } })).toMatchObject([
      { server_url: URL_NOW, applied: false },
    ]);
    expect((await test.row(agentId))?.config).toEqual({});
    expect(await configure({ settings: { server_url: null } })).toMatchObject([
      { server_url: null, applied: true },
    ]);
    expect(await test.database.db.settings.all()).not.toHaveProperty('agent_server_url');
  });

  it('is not told to an agent that cannot move', async () => {
    const { test, perform } = await startFleet();
    await test.join('seed');
    const { agents } = await perform('configure_agents', { settings: { server_url: URL_NOW } });
    expect(agents).toMatchObject([{ server_url: URL_NOW, applied: false }]);
  });

  it('is refused with what no agent could dial', async () => {
    const fleet = await startFleet();
    await fleet.test.install('a');
    const before = await stateOf(fleet);
    for (const settings of [
      { server_fingerprint: FINGERPRINT },
      { server_url: null, server_fingerprint: FINGERPRINT },
      { server_url: 'http://new.example.org', server_fingerprint: FINGERPRINT },
      { server_url: `https://new.example.org/${'x'.repeat(2_048)}` },
    ]) {
      await expect(fleet.perform('configure_agents', { settings })).rejects.toMatchObject({
        name: 'INVALID_PARAMS',
      });
    }
    expect(await stateOf(fleet)).toEqual(before);
    const plain = { settings: { server_url: 'ws://new.example.org/ws/agent' } };
    expect((await fleet.perform('configure_agents', plain)).agents).toMatchObject([
      { server_url: 'ws://new.example.org/ws/agent' },
    ]);
  });
});

describe('configure_agents for the whole fleet', () => {
  it('keeps how tokens and codes live, of which agents need not be told', async () => {
    const { test, perform } = await startFleet();
    await test.join('a', { protocol: 1 });
    const settings = { token_rotation_days: 30, token_grace_minutes: 10, code_ttl_minutes: 60 };
    const { agents } = await perform('configure_agents', { settings });
    expect(agents).toMatchObject([{ applied: true }]);
    expect(await test.database.db.settings.all()).toMatchObject({
      agent_token_rotation_days: '30',
      agent_token_grace_minutes: '10',
      agent_code_ttl_minutes: '60',
    });
    const { expires_at } = await perform('install_agent', { server_id: 'b' });
    expect(Date.parse(expires_at) - Date.now()).toBeGreaterThan(59 * 60_000);
  });

  it('is not mixed up with what is for chosen agents, and the other way round', async () => {
    const fleet = await startFleet();
    await fleet.perform('install_agent', { server_id: 'a', labels: { role: 'web' } });
    const before = await stateOf(fleet);
    for (const args of [
      { settings: { access: 'read' } },
      { settings: { accept_machine: 'm2' } },
      { labels: { role: 'web' }, settings: { accept_machine: 'm2' } },
      { server_ids: ['a'], settings: { token_rotation_days: 1 } },
      { server_ids: ['a'], settings: { metrics_interval: 10, token_grace_minutes: 1 } },
      { labels: { role: 'web' }, settings: { code_ttl_minutes: 1 } },
    ]) {
      await expect(fleet.perform('configure_agents', args)).rejects.toMatchObject({
        name: 'INVALID_PARAMS',
      });
    }
    expect(await stateOf(fleet)).toEqual(before);
  });

  it('takes a setting that somebody spoilt for its default', async () => {
    const { test, perform } = await startFleet();
    await test.database.db.settings.set({ agent_code_ttl_minutes: 'soon' }, 1);
    const { expires_at } = await perform('install_agent', { server_id: 'a' });
    expect(Number.isFinite(Date.parse(expires_at))).toBe(true);
  });
});
