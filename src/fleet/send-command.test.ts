import { describe, expect, it } from 'vitest';
import { ADMIN, READER, startFleet } from '../../test/support/fleet.ts';
import { eventually } from '../../test/support/hub.ts';

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

  it('keeps nothing of the params of an unknown method, or of a secret of the wrong shape', async () => {
    const { test, perform } = await startFleet();
    await test.join('web-1');
    await perform('send_agent_command', {
      server_id: 'web-1',
      method: 'no.such',
      params: { password: 'x' },
    });
    await perform('send_agent_command', {
      server_id: 'web-1',
      method: 'system.exec',
      params: { command: 'true', env: 'PASSWORD=x' },
    });
    const rows = await test.database.db.commands.recent({ limit: 2 });
    expect(rows.map(({ params, status }) => ({ params, status }))).toEqual(
      expect.arrayContaining([
        { params: {}, status: 'failed' },
        { params: { command: 'true', env: '***' }, status: 'failed' },
      ]),
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
