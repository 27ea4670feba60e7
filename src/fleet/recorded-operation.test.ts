import { describe, expect, it } from 'vitest';
import { ADMIN, READER, startFleet } from '../../test/support/fleet.ts';

describe('an operation that changes the fleet', () => {
  it('has a row of its own in the audit', async () => {
    const { perform, test } = await startFleet();
    const caller = { ...ADMIN, actor: 'token:ci', origin: '192.0.2.7' };
    await perform('install_agent', { server_id: 'web-1', labels: { role: 'web' } }, caller);
    const [row] = await test.database.db.commands.recent({ limit: 10 });
    expect(row).toMatchObject({
      serverId: 'web-1',
      actor: 'token:ci',
      origin: '192.0.2.7',
      method: 'install_agent',
      params: expect.objectContaining({ labels: { role: 'web' } }),
      status: 'succeeded',
      errorCode: null,
      durationMs: expect.any(Number),
    });
  });

  it('has one row for every server that it names, or one for the fleet', async () => {
    const { perform, test } = await startFleet();
    for (const server_id of ['web-1', 'web-2']) await test.install(server_id);
    const settings = { metrics_interval: 77 };
    await perform('configure_agents', { server_ids: ['web-1', 'web-2', 'web-1'], settings });
    await perform('configure_agents', { labels: { role: 'web' }, settings });
    const rows = await test.database.db.commands.recent({ limit: 10 });
    expect(rows.map(({ serverId }) => serverId).toSorted()).toEqual(['*', 'web-1', 'web-2']);
    for (const row of rows) {
      expect(row).toMatchObject({ status: 'succeeded', params: { settings } });
    }
  });

  it('has it also when it is refused, with the reason', async () => {
    const { perform, test } = await startFleet();
    await expect(perform('revoke_agent', { server_id: 'web-1' }, READER)).rejects.toMatchObject({
      name: 'ACCESS_DENIED',
    });
    await expect(perform('uninstall_agent', { server_id: 'web-1' })).rejects.toMatchObject({
      name: 'UNKNOWN_SERVER',
    });
    const rows = await test.database.db.commands.recent({ limit: 10 });
    expect(rows).toHaveLength(2);
    expect(rows).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ method: 'revoke_agent', status: 'failed', errorCode: 1006 }),
        expect.objectContaining({ method: 'uninstall_agent', status: 'failed', errorCode: 1000 }),
      ]),
    );
  });

  it.each([
    'https://me:hunter2@hub.example',
    'wss://token@hub.example/ws/agent',
    'https://hub.example/?key=hunter2',
    'https://hub.example/#hunter2',
  ])('takes no URL that could hold a secret: %s', async (server_url) => {
    const { perform, test } = await startFleet();
    await test.install('web-1');
    await expect(async () =>
      perform('configure_agents', { server_ids: ['web-1'], settings: { server_url } }),
    ).rejects.toMatchObject({ issues: [{ path: ['settings', 'server_url'] }] });
    expect(await test.database.db.commands.recent({ limit: 1 })).toEqual([]);
  });

  it('has one short row for a caller who may not, however much it asked for', async () => {
    const { perform, test } = await startFleet();
    const server_ids = Array.from({ length: 1_000 }, (_, i) => `invented-${i}`);
    const labels = { secret: 'x'.repeat(255) };
    await expect(
      perform('configure_agents', { server_ids, labels, settings: { access: 'read' } }, READER),
    ).rejects.toMatchObject({ name: 'ACCESS_DENIED' });
    const rows = await test.database.db.commands.recent({ limit: 10 });
    expect(rows).toMatchObject([{ serverId: '*', params: {}, status: 'failed' }]);
  });

  it('does nothing if that cannot be recorded', async () => {
    const { perform, test } = await startFleet();
    const { agentId } = await test.join('web-1');
    test.database.client.exec(
      `CREATE TRIGGER refuse BEFORE INSERT ON commands BEGIN SELECT RAISE(ABORT, 'refused'); END`,
    );
    await expect(perform('revoke_agent', { server_id: 'web-1' })).rejects.toMatchObject({
      name: 'DATABASE_UNAVAILABLE',
    });
    expect(await test.row(agentId)).toMatchObject({ status: 'connected' });
  });
});

it('an operation that changes nothing has no row', async () => {
  const { perform, test } = await startFleet();
  await perform('list_agents', {});
  await perform('get_command_history', {});
  expect(await test.database.db.commands.recent({ limit: 10 })).toEqual([]);
});
