import { describe, expect, it } from 'vitest';
import { PONG } from '../../test/support/fake-agent.ts';
import { ADMIN, READER, startFleet, type TestFleet } from '../../test/support/fleet.ts';

const PING = { server_id: 'web-1', method: 'agent.ping' };

/** A fleet whose audit has `count` commands. */
async function withCommands(count: number): Promise<TestFleet> {
  const fleet = await startFleet();
  const { agent } = await fleet.test.join('web-1', { protocol: 1 });
  for (let index = 0; index < count; index += 1) {
    const sent = fleet.perform('send_agent_command', PING);
    agent.answer((await agent.request()).id, PONG);
    await sent;
  }
  return fleet;
}

describe('get_command_history', () => {
  it('shows who ran what, from where, and how it ended', async () => {
    const { test, perform } = await startFleet();
    const { agent } = await test.join('web-1', { protocol: 1 });
    const sent = perform('send_agent_command', PING, { ...ADMIN, origin: '192.0.2.7' });
    const { id } = await agent.request();
    agent.fail(id, { code: 1202, message: 'no such thing' });
    await sent;
    expect(await perform('get_command_history', {})).toEqual({
      commands: [
        {
          command_id: id,
          server_id: 'web-1',
          actor: 'tester',
          origin: '192.0.2.7',
          method: 'agent.ping',
          params: {},
          status: 'failed',
          error: { code: 1202, message: 'no such thing' },
          started_at: expect.stringMatching(/^\d{4}-.*Z$/),
          duration_ms: expect.any(Number),
          result_bytes: null,
        },
      ],
    });
  });

  it('ends a page of long params sooner, and shows of very long ones the beginning', async () => {
    const { test, perform } = await startFleet();
    const begin = async (id: string, length: number): Promise<void> =>
      test.database.db.commands.begin({
        id,
        agentId: 'a1',
        serverId: 'web-1',
        actor: 'tester',
        origin: null,
        instanceId: null,
        method: 'system.exec',
        params: { command: 'x'.repeat(length) },
        startedAt: length,
      });
    await begin('c1', 100_000);
    for (const id of ['c2', 'c3', 'c4', 'c5']) await begin(id, 20_000);
    const first = await perform('get_command_history', {});
    expect(first.commands).toMatchObject([
      {
        command_id: 'c1',
        params: {},
        params_text: expect.stringMatching(/^.{30000}$/),
        truncated: true,
      },
    ]);
    const next = await perform('get_command_history', { cursor: first.next_cursor });
    expect(next.commands.map(({ command_id }) => command_id)).toEqual(['c5', 'c4']);
    expect(next.commands[0]).not.toHaveProperty('truncated');
  });

  it('is paged from the newest to the oldest, without a command twice or left out', async () => {
    const { test, perform } = await withCommands(7);
    const rows = await test.database.db.commands.recent({ limit: 10 });
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await perform('get_command_history', {
        limit: 3,
        ...(cursor === undefined ? {} : { cursor }),
      });
      seen.push(...page.commands.map(({ command_id }) => command_id));
      cursor = page.next_cursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(rows.map(({ id }) => id));
    expect(seen).toHaveLength(7);
  });

  it('has no further page when the last one is just full', async () => {
    const { perform } = await withCommands(2);
    expect(await perform('get_command_history', { limit: 2 })).not.toHaveProperty('next_cursor');
  });

  it.each([
    'x',
    Buffer.from('[1]').toString('base64url'),
    Buffer.from('["a","b"]').toString('base64url'),
  ])('refuses a cursor that it did not give: %s', async (cursor) => {
    const { perform } = await startFleet();
    await expect(perform('get_command_history', { cursor })).rejects.toMatchObject({
      name: 'INVALID_PARAMS',
    });
  });

  it('shows what fits every filter', async () => {
    const { test, perform } = await withCommands(1);
    await perform(
      'send_agent_command',
      { ...PING, method: 'no.such' },
      { ...ADMIN, actor: 'stdio' },
    );
    const rows = await test.database.db.commands.recent({ limit: 2 });
    const after = new Date(Math.max(...rows.map(({ startedAt }) => startedAt)) + 1).toISOString();
    // Two of one millisecond stand in either order.
    const methods = async (filter: object) => {
      const { commands } = await perform('get_command_history', filter);
      return commands.map(({ method }) => method).toSorted();
    };
    expect(await methods({ server_id: 'web-1' })).toEqual(['agent.ping', 'no.such']);
    expect(await methods({ server_id: 'web-2' })).toEqual([]);
    expect(await methods({ actor: 'stdio' })).toEqual(['no.such']);
    expect(await methods({ method: 'agent.ping' })).toEqual(['agent.ping']);
    expect(await methods({ status: 'failed' })).toEqual(['no.such']);
    expect(await methods({ since: after })).toEqual([]);
    expect(await methods({ until: after })).toHaveLength(2);
    expect(await methods({ since: '10m' })).toHaveLength(2);
    expect(await methods({ until: '-10m' })).toEqual([]);
  });

  it('hides the params of what its caller may not run, but for their names', async () => {
    const { test, perform } = await startFleet();
    await test.join('web-1', { protocol: 1 });
    const commands = [
      { method: 'system.exec', params: { command: 'cat /etc/passwd', env: { A: 'b' } } },
      { method: 'docker.containers.inspect', params: { container: 'db', reveal_env: true } },
      { method: 'docker.containers.logs', params: { container: 'db' } },
    ];
    for (const command of commands) {
      await perform(
        'send_agent_command',
        { server_id: 'web-1', ...command, timeout_seconds: 0.01 },
        ADMIN,
      );
    }
    await perform('revoke_agent', { server_id: 'web-1' });
    const params = async (caller: typeof READER) =>
      (await perform('get_command_history', {}, caller)).commands.map((command) => command.params);
    expect(await params(READER)).toEqual([
      {},
      { container: 'db' },
      { container: '***', reveal_env: '***' },
      { command: '***', env: '***' },
    ]);
    expect((await params(ADMIN))[3]).toEqual({ command: 'cat /etc/passwd', env: { A: '***' } });
  });
});
