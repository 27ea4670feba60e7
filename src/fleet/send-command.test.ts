import { describe, expect, it } from 'vitest';
import { ADMIN, READER, startFleet } from '../../test/support/fleet.ts';
import { eventually } from '../../test/support/hub.ts';
import { openHandle } from '../../test/support/temporary-database.ts';

describe('send_agent_command', () => {
  it('keeps an audit row without the secrets', async () => {
    const { test, perform } = await startFleet();
    const { agent } = await test.join('web-1', { protocol: 1 });
    const env = { PASSWORD: 'hunter2' };
    const sent = perform('send_agent_command', {
      server_id: 'web-1',
      method: 'system.exec',
      params: { command: 'env', env },
    });
    const { id, params } = await agent.request();
    expect(params).toEqual({ command: 'env', env });
    agent.answer(id, { stdout: '', stderr: '', exit_code: 0 });
    expect(await sent).toMatchObject({ command_id: id, status: 'succeeded' });
    const [row] = await test.database.db.commands.recent({ limit: 1 });
    expect(row).toMatchObject({
      id,
      actor: 'tester',
      serverId: 'web-1',
      method: 'system.exec',
      status: 'succeeded',
      params: { command: 'env', env: { PASSWORD: '***' } },
    });
    expect(row?.durationMs).toBeGreaterThanOrEqual(0);
  });

  it('keeps nothing of params that the method does not take: they may be secrets too', async () => {
    const { test, perform } = await startFleet();
    await test.join('web-1');
    const refused = [
      { method: 'no.such', params: { password: 'x' } },
      { method: 'system.exec', params: { command: 'true', env: 'PASSWORD=x' } },
      {
        method: 'docker.containers.run',
        params: { image: 'a', name: 'a', environment: { P: 'x' } },
      },
    ];
    for (const command of refused) {
      await perform('send_agent_command', { server_id: 'web-1', ...command });
    }
    const rows = await test.database.db.commands.recent({ limit: 3 });
    expect(rows.map(({ params, status }) => ({ params, status }))).toEqual(
      refused.map(() => ({ params: {}, status: 'failed' })),
    );
  });

  it('answers although the database cannot take the end of the command, which is recorded later', async () => {
    const { test, perform } = await startFleet();
    const { agent } = await test.join('web-1', { protocol: 1 });
    const sent = perform('send_agent_command', {
      server_id: 'web-1',
      method: 'system.exec',
      params: { command: 'true' },
    });
    const { id } = await agent.request();
    const other = openHandle(test.database.file).client;
    other.exec('BEGIN IMMEDIATE');
    agent.answer(id, { stdout: 'kept', stderr: '', exit_code: 0 });
    expect(await sent).toMatchObject({ status: 'succeeded', result: { stdout: 'kept' } });
    const status = async () => (await test.database.db.commands.recent({ limit: 1 }))[0]?.status;
    expect(await status()).toBe('running');
    other.exec('ROLLBACK');
    await eventually(async () => expect(await status()).toBe('succeeded'));
  });

  it('answers timed_out with the output when the command’s own limit ended it', async () => {
    const { test, perform } = await startFleet();
    const { agent } = await test.join('web-1', { protocol: 1 });
    const sent = perform('send_agent_command', {
      server_id: 'web-1',
      method: 'system.exec',
      params: { command: 'sleep 9' },
      timeout_seconds: 2,
    });
    const { id, params } = await agent.request();
    // The caller's limit is passed on, so that the agent stops the command itself.
    expect(params).toEqual({ command: 'sleep 9', timeout: 2 });
    agent.answer(id, { stdout: 'so far', stderr: '', exit_code: -1, timed_out: true });
    expect(await sent).toMatchObject({ status: 'timed_out', result: { stdout: 'so far' } });
  });

  it('answers timed_out or cancelled when nothing came', async () => {
    const { test, perform } = await startFleet();
    await test.join('web-1', { protocol: 1 });
    expect(
      await perform('send_agent_command', {
        server_id: 'web-1',
        method: 'agent.ping',
        timeout_seconds: 0.02,
      }),
    ).toMatchObject({
      status: 'timed_out',
      error: { name: 'COMMAND_TIMED_OUT' },
    });
    const signal = AbortSignal.timeout(20);
    expect(
      await perform(
        'send_agent_command',
        { server_id: 'web-1', method: 'agent.ping' },
        { ...ADMIN, signal },
      ),
    ).toMatchObject({
      status: 'cancelled',
      error: { name: 'COMMAND_CANCELLED' },
    });
  });

  it('holds the caller to its access', async () => {
    const { test, perform } = await startFleet();
    await test.join('web-1');
    const exec = { server_id: 'web-1', method: 'system.exec', params: { command: 'true' } };
    expect(await perform('send_agent_command', exec, READER)).toMatchObject({
      status: 'failed',
      error: { name: 'ACCESS_DENIED' },
    });
  });

  it('says how long ago an agent was seen', async () => {
    const { test, perform } = await startFleet();
    const { agent, agentId } = await test.join('web-1');
    agent.cut();
    await eventually(() => expect(test.hub.connected(agentId)).toBeUndefined());
    await test.hub.telemetry.flush();
    for (const [ago, text] of [
      [5_000, '5 s ago'],
      [14 * 60_000, '14 min ago'],
      [3 * 3_600_000, '3 h ago'],
      [50 * 3_600_000, '2 days ago'],
    ] as const) {
      await test.database.db.agents.touch([{ agentId, lastSeen: Date.now() - ago }]);
      const { error } = await perform('send_agent_command', {
        server_id: 'web-1',
        method: 'agent.ping',
      });
      expect(error).toMatchObject({
        name: 'AGENT_NOT_CONNECTED',
        message: expect.stringContaining(text),
      });
    }
  });
});
