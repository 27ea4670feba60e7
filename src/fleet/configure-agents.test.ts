import { describe, expect, it } from 'vitest';
import { startFleet } from '../../test/support/fleet.ts';

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

  it('changes nothing if one of the named servers is unknown', async () => {
    const { test, perform } = await startFleet();
    const { agentId } = await test.install('web-1');
    const settings = { metrics_interval: 5 };
    await expect(
      perform('configure_agents', { server_ids: ['web-1', 'nope'], settings }),
    ).rejects.toMatchObject({ name: 'UNKNOWN_SERVER', facts: { server_ids: ['nope'] } });
    expect((await test.row(agentId))?.config).toBeNull();
  });
});
