import { describe, expect, it } from 'vitest';
import { startFleet } from '../../test/support/fleet.ts';

describe('copies of an agent', () => {
  const host = (machine_id: string) => ({
    protocol: 1,
    host: { machine_id, hostname: `h-${machine_id}` },
  });

  it('are shown with what to do, and one is accepted as the agent’s machine when asked for', async () => {
    const { test, perform } = await startFleet();
    const { token, agentId } = await test.join('web-1', host('one'));
    const duplicates = async () =>
      (await perform('get_agent_status', { server_id: 'web-1' })).duplicates;
    expect(await duplicates()).toEqual({
      refused: 0,
      taking_turns: 0,
      addresses: [],
      last_at: null,
      last_host: null,
      next_step: null,
    });
    const clone = await test.rejoin(token, host('two'));
    expect(clone.welcome).toMatchObject({ code: 'CLONE_REFUSED' });
    expect(await duplicates()).toMatchObject({
      refused: 1,
      addresses: ['127.0.0.1'],
      last_at: expect.stringMatching(/Z$/),
      last_host: { machine_id: 'two' },
      next_step: expect.stringContaining('accept_machine'),
    });
    const accept = { server_ids: ['web-1'], settings: { accept_machine: 'two' } };
    expect((await perform('configure_agents', accept)).agents).toMatchObject([{ applied: true }]);
    expect((await test.row(agentId))?.identity).toMatchObject({ machine_id: 'two' });
    expect((await test.rejoin(token, host('two'))).welcome).toMatchObject({
      type: 'authenticated',
    });
    expect((await test.rejoin(token, host('one'))).welcome).toMatchObject({
      code: 'CLONE_REFUSED',
    });
  });

  it('that take turns are shown with what to do', async () => {
    const { test, perform } = await startFleet();
    const { token } = await test.join('web-1', { protocol: 1, instance_id: 'i1' });
    for (const instance_id of ['i2', 'i1', 'i2']) {
      await test.rejoin(token, { protocol: 1, instance_id });
    }
    const { duplicates } = await perform('get_agent_status', { server_id: 'web-1' });
    expect(duplicates.taking_turns).toBeGreaterThan(0);
    expect(duplicates.next_step).toContain('Stop one of them');
  });

  it('are not accepted unless each of the named had one, and nothing else is done either', async () => {
    const fleet = await startFleet();
    const { token } = await fleet.test.join('web-1', host('one'));
    await fleet.test.join('web-2', host('three'));
    await fleet.test.rejoin(token, host('two'));
    const { agents, settings } = fleet.test.database.db;
    const before = [await agents.list({ limit: 9 }), await settings.all()];
    await expect(
      fleet.perform('configure_agents', {
        server_ids: ['web-1', 'web-2'],
        settings: { accept_machine: 'two', metrics_interval: 10 },
      }),
    ).rejects.toMatchObject({ name: 'CONFLICT', facts: { server_ids: ['web-2'] } });
    expect([await agents.list({ limit: 9 }), await settings.all()]).toEqual(before);
  });
});
