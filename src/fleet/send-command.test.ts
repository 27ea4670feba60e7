import { describe, expect, it } from 'vitest';
import { PONG } from '../../test/support/fake-agent.ts';
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

  it('keeps who called from where, which process was asked, and the size of the result', async () => {
    const { test, perform } = await startFleet();
    const { agent } = await test.join('web-1', { protocol: 1, instance_id: 'p1' });
    const sent = perform(
      'send_agent_command',
      { server_id: 'web-1', method: 'agent.ping' },
      { ...ADMIN, actor: 'token:ci', origin: '192.0.2.7' },
    );
    const { id } = await agent.request();
    agent.send(`{"jsonrpc":"2.0","id":"${id}","result":${JSON.stringify(PONG)}}`);
    await sent;
    expect(await test.database.db.commands.recent({ limit: 1 })).toMatchObject([
      {
        actor: 'token:ci',
        origin: '192.0.2.7',
        instanceId: 'p1',
        resultBytes: JSON.stringify(PONG).length,
      },
    ]);
  });

  it('tells the agent that an answer is stored once its row is written, and not before', async () => {
    const { test, perform } = await startFleet();
    const { agent, agentId } = await test.join('web-1', { protocol: 1 });
    const ping = { server_id: 'web-1', method: 'agent.ping' };
    const sent = perform('send_agent_command', ping);
    const { id } = await agent.request();
    const other = openHandle(test.database.file).client;
    other.exec('BEGIN IMMEDIATE');
    agent.answer(id, PONG);
    expect(await sent).toMatchObject({ status: 'succeeded' });
    const barrier = test.call(agentId, { id: 'without a row' });
    agent.answer('without a row', PONG);
    await barrier;
    const first = await agent.nextWhere(({ method }) => method === '$/stored');
    expect(first).toHaveProperty('params', { ids: ['without a row'] });
    other.exec('ROLLBACK');
    const second = await agent.nextWhere(({ method }) => method === '$/stored');
    expect(second).toHaveProperty('params', { ids: [id] });
  });

  it('hides the environment in results unless its caller asks for it', async () => {
    const { test, perform } = await startFleet();
    const { agent } = await test.join('web-1', { protocol: 1 });
    const inspect = (params: object) =>
      perform('send_agent_command', {
        server_id: 'web-1',
        method: 'docker.containers.inspect',
        params: { container: 'db', ...params },
      });
    const answer = { Id: 'a', Name: 'db', Config: { Env: ['PASSWORD=hunter2'] } };
    for (const [params, shown] of [
      [{}, 'PASSWORD=***'],
      [{ reveal_env: true }, 'PASSWORD=hunter2'],
    ] as const) {
      const sent = inspect(params);
      agent.answer((await agent.request()).id, answer);
      expect(await sent).toMatchObject({ result: { Config: { Env: [shown] } } });
    }
    expect(
      await perform(
        'send_agent_command',
        {
          server_id: 'web-1',
          method: 'docker.containers.inspect',
          params: { container: 'db', reveal_env: true },
        },
        READER,
      ),
    ).toMatchObject({ error: { name: 'ACCESS_DENIED' } });
  });

  it('does not send what is the hub’s own business, and keeps nothing secret of it', async () => {
    const { test, perform } = await startFleet();
    await test.join('web-1', { protocol: 1 });
    const token = 'x'.repeat(43);
    expect(
      await perform('send_agent_command', {
        server_id: 'web-1',
        method: 'agent.rotate_token',
        params: { token },
      }),
    ).toMatchObject({
      status: 'failed',
      error: { name: 'ACCESS_DENIED', message: expect.stringContaining('rotate_agent_token') },
    });
    expect(test.hub.counters.calls).toBe(0);
    expect(JSON.stringify(await test.database.db.commands.recent({ limit: 9 }))).not.toContain(
      token,
    );
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
