import { describe, expect, it } from 'vitest';
import { PONG } from '../../test/support/fake-agent.ts';
import { ADMIN, READER, startFleet, type TestFleet } from '../../test/support/fleet.ts';
import { eventually } from '../../test/support/hub.ts';

const EXEC = { method: 'system.exec', params: { command: 'uname' } };
const PING = { method: 'agent.ping' };

const output = (stdout: string) => ({ stdout, stderr: '', exit_code: 0 });
const names = (count: number, prefix = 'web') =>
  Array.from({ length: count }, (_, i) => `${prefix}-${String(i).padStart(3, '0')}`);

type Reply = () => object | undefined;

/** Joins an agent that answers every call, unless its reply is undefined. */
async function joinAnswering({ test }: TestFleet, serverId: string, reply: Reply): Promise<void> {
  const { agent } = await test.join(serverId, { protocol: 1 });
  const answerNext = async (): Promise<void> => {
    const { id } = await agent.request();
    const answer = reply();
    if (answer !== undefined) agent.send({ jsonrpc: '2.0', id, ...answer });
    await answerNext();
  };
  void answerNext();
}

const answering =
  (result: unknown): Reply =>
  () => ({ result });
const failing: Reply = () => ({ error: { code: 1207, message: 'no shell' } });
const silent: Reply = () => undefined;

async function joinAll(fleet: TestFleet, serverIds: string[], reply: Reply): Promise<string[]> {
  for (const serverId of serverIds) await joinAnswering(fleet, serverId, reply);
  return serverIds;
}

describe('run_on_agents', () => {
  it('shows equal answers of 200 servers once, and those that failed or were silent', async () => {
    const fleet = await startFleet();
    const linux = await joinAll(fleet, names(170), answering(output('Linux\n')));
    const other = await joinAll(fleet, names(10, 'bsd'), answering(output('FreeBSD\n')));
    const broken = await joinAll(fleet, names(10, 'broken'), failing);
    const quiet = await joinAll(fleet, names(10, 'quiet'), silent);
    const steps: [string, number | undefined][] = [];
    const answer = await fleet.perform(
      'run_on_agents',
      { all: true, ...EXEC, params: { command: 'uname', timeout: 1 }, timeout_seconds: 1 },
      { ...ADMIN, progress: (message, fraction) => steps.push([message, fraction]) },
    );
    expect(answer.counts).toEqual({ asked: 200, succeeded: 180, failed: 20 });
    expect(answer.groups).toEqual([
      {
        server_ids: linux,
        command_ids: expect.any(Array),
        status: 'succeeded',
        result: output('Linux\n'),
      },
      {
        server_ids: other,
        command_ids: expect.any(Array),
        status: 'succeeded',
        result: output('FreeBSD\n'),
      },
    ]);
    expect(answer.failures.map(({ server_id }) => server_id)).toEqual([...broken, ...quiet]);
    expect(answer.failures[0]).toMatchObject({
      command_id: expect.any(String),
      status: 'failed',
      error: { code: 1207, name: 'EXEC_FAILED', message: 'no shell' },
    });
    expect(answer.failures[19]).toMatchObject({
      status: 'timed_out',
      error: { name: 'COMMAND_TIMED_OUT' },
    });
    expect(steps).toHaveLength(200);
    expect(steps.at(11)).toEqual(['12 of 200', 0.06]);
    const rows = await fleet.test.database.db.commands.recent({ limit: 1_000 });
    expect(rows).toHaveLength(200);
    expect(rows.filter(({ status }) => status === 'succeeded')).toHaveLength(180);
  });

  it('takes answers for equal whose keys come in another order, but not of another status', async () => {
    const fleet = await startFleet();
    await joinAnswering(fleet, 'a', answering({ stdout: 'x', stderr: '', exit_code: -1 }));
    await joinAnswering(fleet, 'b', answering({ exit_code: -1, stderr: '', stdout: 'x' }));
    const timedOut = { stdout: 'x', stderr: '', exit_code: -1, timed_out: true };
    await joinAnswering(fleet, 'c', answering(timedOut));
    const { groups, counts } = await fleet.perform('run_on_agents', { all: true, ...EXEC });
    expect(groups).toMatchObject([
      { server_ids: ['a', 'b'], status: 'succeeded' },
      { server_ids: ['c'], status: 'timed_out', result: timedOut },
    ]);
    expect(counts).toEqual({ asked: 3, succeeded: 2, failed: 1 });
  });

  it('lets no more servers work at a time than it is told', async () => {
    const fleet = await startFleet();
    const waiting: (() => void)[] = [];
    for (const serverId of names(7)) {
      const { agent } = await fleet.test.join(serverId, { protocol: 1 });
      void agent.request().then(({ id }) => waiting.push(() => agent.answer(id, PONG)));
    }
    const run = fleet.perform('run_on_agents', { all: true, ...PING, max_concurrency: 3 });
    for (const left of [3, 3, 1]) {
      await eventually(() => expect(waiting).toHaveLength(left));
      expect(fleet.test.hub.counters.callsInFlight).toBe(left);
      for (const answer of waiting.splice(0)) answer();
    }
    expect((await run).counts).toEqual({ asked: 7, succeeded: 7, failed: 0 });
  });

  it('stops all when its caller cancels, and begins no further one', async () => {
    const fleet = await startFleet();
    await joinAll(fleet, names(5), silent);
    const cancel = new AbortController();
    const run = fleet.perform(
      'run_on_agents',
      { all: true, ...PING, max_concurrency: 2 },
      { ...ADMIN, signal: cancel.signal },
    );
    await eventually(() => expect(fleet.test.hub.counters.callsInFlight).toBe(2));
    cancel.abort();
    const { failures, counts } = await run;
    expect(counts).toEqual({ asked: 5, succeeded: 0, failed: 5 });
    expect(failures.map(({ status }) => status)).toEqual(Array(5).fill('cancelled'));
    expect(failures.filter(({ command_id }) => command_id === null)).toHaveLength(3);
    const rows = await fleet.test.database.db.commands.recent({ limit: 10 });
    expect(rows.map(({ status }) => status)).toEqual(['cancelled', 'cancelled']);
    expect(fleet.test.hub.counters.callsInFlight).toBe(0);
  });

  it('goes on without servers that are unknown or away', async () => {
    const fleet = await startFleet();
    await joinAnswering(fleet, 'web-1', answering(PONG));
    await fleet.test.install('web-2');
    const server_ids = ['web-1', 'web-2', 'nowhere', 'web-1', 'nowhere'];
    const answer = await fleet.perform('run_on_agents', { server_ids, ...PING });
    expect(answer.groups).toMatchObject([{ server_ids: ['web-1'], result: PONG }]);
    expect(answer.failures).toMatchObject([
      { server_id: 'nowhere', command_id: null, error: { name: 'UNKNOWN_SERVER' } },
      {
        server_id: 'web-2',
        command_id: expect.any(String),
        error: { name: 'AGENT_NOT_CONNECTED', message: expect.stringContaining('deploy_command') },
      },
    ]);
    expect(answer.counts).toEqual({ asked: 3, succeeded: 1, failed: 2 });
  });

  it('runs on the servers that have all labels', async () => {
    const fleet = await startFleet();
    for (const [server_id, role] of [
      ['web-1', 'web'],
      ['db-1', 'db'],
    ] as const) {
      await fleet.perform('install_agent', { server_id, labels: { role } });
      await joinAnswering(fleet, server_id, answering(PONG));
    }
    const { groups } = await fleet.perform('run_on_agents', { labels: { role: 'db' }, ...PING });
    expect(groups).toMatchObject([{ server_ids: ['db-1'] }]);
  });

  it('refuses if no chosen server is known', async () => {
    const { perform } = await startFleet();
    for (const choice of [{ server_ids: ['a', 'b'] }, { labels: { a: 'b' } }, { all: true }]) {
      await expect(perform('run_on_agents', { ...choice, ...PING })).rejects.toMatchObject({
        name: 'UNKNOWN_SERVER',
      });
    }
  });

  it.each([
    {},
    { all: true, labels: { role: 'web' } },
    { server_ids: ['a'], all: true },
    { server_ids: ['a'], labels: { role: 'web' } },
  ])('refuses a choice of servers that is not one: %o', async (choice) => {
    const { perform } = await startFleet();
    await expect(perform('run_on_agents', { ...choice, ...PING })).rejects.toMatchObject({
      name: 'INVALID_PARAMS',
      message: expect.stringMatching(/server_ids, labels, or all: true/),
    });
  });

  it('refuses a method that there is not once, and not server by server', async () => {
    const fleet = await startFleet();
    await joinAll(fleet, names(2), answering(output('')));
    const run = { all: true, method: 'system.exce', params: {} };
    await expect(fleet.perform('run_on_agents', run)).rejects.toMatchObject({
      name: 'METHOD_NOT_FOUND',
    });
    expect((await fleet.perform('get_command_history', {})).commands).toEqual([]);
  });

  it('takes no empty labels for all servers', async () => {
    const { perform } = await startFleet();
    await expect(async () =>
      perform('run_on_agents', { labels: {}, ...PING }),
    ).rejects.toMatchObject({ issues: [{ path: ['labels'] }] });
  });

  it('holds the caller to its access, and blanks secrets, as for a single server', async () => {
    const fleet = await startFleet();
    await joinAll(fleet, names(2), answering(output('')));
    const params = { command: 'env', env: { PASSWORD: 'hunter2' } };
    const run = { all: true, method: 'system.exec', params };
    // Once for all: refused one by one, it would fill the audit.
    await expect(fleet.perform('run_on_agents', run, READER)).rejects.toMatchObject({
      name: 'ACCESS_DENIED',
    });
    expect((await fleet.perform('run_on_agents', run)).counts.succeeded).toBe(2);
    const rows = await fleet.test.database.db.commands.recent({ limit: 10 });
    expect(rows).toHaveLength(2);
    for (const row of rows) expect(row.params).toMatchObject({ env: { PASSWORD: '***' } });
  });

  it('tells of a database that refuses as a failure of each server', async () => {
    const fleet = await startFleet();
    await joinAll(fleet, names(2), answering(PONG));
    fleet.test.database.client.exec(
      `CREATE TRIGGER refuse BEFORE INSERT ON commands WHEN NEW.server_id = 'web-000'
       BEGIN SELECT RAISE(ABORT, 'refused'); END`,
    );
    const { groups, failures } = await fleet.perform('run_on_agents', { all: true, ...PING });
    expect(groups).toMatchObject([{ server_ids: ['web-001'] }]);
    expect(failures).toMatchObject([
      { server_id: 'web-000', command_id: null, error: { name: 'DATABASE_UNAVAILABLE' } },
    ]);
  });

  it('keeps what it cut, and names with which command and offset get_command shows the rest', async () => {
    const fleet = await startFleet();
    for (const serverId of names(4)) {
      await joinAnswering(fleet, serverId, answering({ logs: `${serverId}\n`.repeat(3_000) }));
    }
    const logs = { method: 'docker.containers.logs', params: { container: 'web' } };
    const { groups } = await fleet.perform('run_on_agents', { all: true, ...logs });
    expect(groups).toHaveLength(4);
    for (const { server_ids, command_ids, result_text, rest } of groups) {
      expect([rest?.command_id]).toEqual(command_ids);
      const page = await fleet.perform('get_command', { ...rest });
      expect(JSON.parse(`${result_text}${page.result_text}`)).toEqual({
        logs: `${server_ids[0]}\n`.repeat(3_000),
      });
    }
  });

  it('leaves long messages of many failures out, so that results have room', async () => {
    const fleet = await startFleet();
    await joinAll(fleet, names(20), () => ({ error: { code: 1207, message: 'x'.repeat(2_000) } }));
    await joinAnswering(fleet, 'zoo', answering(output('y\n'.repeat(40_000))));
    const { groups, failures } = await fleet.perform('run_on_agents', { all: true, ...EXEC });
    const messages = failures.map(({ error }) => error.message.length);
    expect(messages).toEqual([...Array(12).fill(2_000), ...Array(8).fill(1)]);
    expect(groups).toMatchObject([{ server_ids: ['zoo'], truncated: true }]);
    const chars = messages.reduce((sum, length) => sum + length, 0);
    expect(chars + (groups[0]?.result_text?.length ?? 0)).toBeLessThanOrEqual(50_000);
    expect(groups[0]?.result_text?.length).toBeGreaterThan(25_000);
  });
});
