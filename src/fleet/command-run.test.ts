import { setImmediate } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CATALOGUE } from '../../protocol/commands/catalogue.ts';
import type { Streams } from '../../protocol/commands/define-command.ts';
import { type FakeAgent, PONG } from '../../test/support/fake-agent.ts';
import { ADMIN, startFleet, type TestFleet } from '../../test/support/fleet.ts';
import { eventually } from '../../test/support/hub.ts';
import type { Caller } from './fleet.ts';
import { CallerGone } from './fleet.ts';

const EXEC = { server_id: 'web-1', method: 'system.exec', params: { command: 'make' } };
const PING = { server_id: 'web-1', method: 'agent.ping' };
const LOGS = { server_id: 'web-1', method: 'docker.containers.logs', params: { container: 'web' } };
const DONE = { stdout: 'made', stderr: '', exit_code: 0 };

async function withAgent(): Promise<TestFleet & { agent: FakeAgent }> {
  const fleet = await startFleet();
  const { agent } = await fleet.test.join('web-1', { protocol: 1 });
  return { ...fleet, agent };
}

function rowOf({ test }: TestFleet, id: string) {
  return test.database.db.commands.find(id);
}

function output(agent: FakeAgent, id: string, seq: number, at: number, data: string): void {
  agent.notify('$/progress', { id, seq, stream: 'stdout', at, data });
}

/** Makes a method one of another kind for a test. */
function streaming(method: 'docker.containers.logs', streams: Streams): void {
  const entry = CATALOGUE[method];
  const before = entry.streams;
  const set = (value: Streams) =>
    Object.defineProperty(entry, 'streams', { value, configurable: true });
  set(streams);
  onTestFinished(() => void set(before));
}

describe('a command that takes longer than its caller waits', () => {
  it('answers that it runs, and goes on until its row says how it ended', async () => {
    const fleet = await withAgent();
    const answer = await fleet.perform('send_agent_command', { ...EXEC, wait_seconds: 0.02 });
    const { id } = await fleet.agent.request();
    expect(answer).toEqual({ command_id: id, status: 'running', duration_ms: expect.any(Number) });
    expect(await rowOf(fleet, id)).toMatchObject({ status: 'running' });
    fleet.agent.answer(id, DONE);
    await eventually(async () =>
      expect(await rowOf(fleet, id)).toMatchObject({
        status: 'succeeded',
        durationMs: expect.any(Number),
      }),
    );
    expect(await fleet.perform('get_command', { command_id: id })).toMatchObject({
      status: 'succeeded',
      result: DONE,
    });
  });

  it('is begun and answered at once with wait_seconds 0', async () => {
    const fleet = await withAgent();
    const answer = await fleet.perform('send_agent_command', { ...EXEC, wait_seconds: 0 });
    expect(answer).toMatchObject({ status: 'running' });
    expect((await fleet.agent.request()).id).toBe(answer.command_id);
  });

  it('says with wait_seconds 0 too what kept it from being sent', async () => {
    const { test, perform } = await startFleet();
    await test.install('web-1');
    expect(await perform('send_agent_command', { ...EXEC, wait_seconds: 0 })).toMatchObject({
      status: 'failed',
      error: { name: 'AGENT_NOT_CONNECTED' },
    });
    await test.join('web-2', { protocol: 1 });
    const wrong = { server_id: 'web-2', method: 'system.exec', params: {}, wait_seconds: 0 };
    expect(await perform('send_agent_command', wrong)).toMatchObject({
      error: { name: 'INVALID_PARAMS' },
    });
  });

  it('answers with its output so far, and tells how far it is meanwhile', async () => {
    const fleet = await withAgent();
    const steps: [string, number | undefined][] = [];
    const progress: Caller['progress'] = (message, fraction) => steps.push([message, fraction]);
    const sent = fleet.perform(
      'send_agent_command',
      { ...EXEC, wait_seconds: 2 },
      { ...ADMIN, progress },
    );
    const { id } = await fleet.agent.request();
    output(fleet.agent, id, 0, 0, 'one\ntwo\n');
    await eventually(() => expect(steps).toContainEqual(['two', undefined]));
    fleet.agent.notify('$/progress', { id, seq: 1, data: 'linking', fraction: 0.5 });
    await eventually(() => expect(steps).toContainEqual(['linking', 0.5]));
    expect(await sent).toMatchObject({
      status: 'running',
      output: {
        offset: 0,
        next_offset: 8,
        parts: [{ stream: 'stdout', text: 'one\ntwo\n' }],
        dropped_bytes: 0,
        has_more: false,
      },
      progress: { message: 'linking', fraction: 0.5 },
    });
  });

  it('is answered early when it waits for its output to be read', async () => {
    streaming('docker.containers.logs', 'lossless');
    const fleet = await withAgent();
    const sent = fleet.perform('send_agent_command', { ...LOGS, wait_seconds: 3_600 });
    const { id } = await fleet.agent.request();
    output(fleet.agent, id, 0, 0, 'x'.repeat(60_000));
    const { status, output: page } = await sent;
    expect({ status, page }).toMatchObject({
      status: 'running',
      page: { next_offset: 25_000, has_more: true },
    });
    const rest = await fleet.perform('get_command', {
      command_id: id,
      offset: 25_000,
      wait_seconds: 3_600,
    });
    expect(rest.output).toMatchObject({ offset: 25_000, next_offset: 50_000, has_more: true });
    // Waiting for the end would be waiting for a reader.
    const waited = await fleet.perform('get_command', { command_id: id, wait_seconds: 3_600 });
    expect(waited).toMatchObject({ status: 'running', output: { has_more: true } });
  });
});

describe('a caller that gives up', () => {
  it('stops the command when it cancels', async () => {
    const fleet = await withAgent();
    const cancel = new AbortController();
    const sent = fleet.perform('send_agent_command', EXEC, { ...ADMIN, signal: cancel.signal });
    const { id } = await fleet.agent.request();
    cancel.abort();
    expect(await sent).toMatchObject({ status: 'cancelled', error: { name: 'COMMAND_CANCELLED' } });
    const told = await fleet.agent.nextWhere(({ method }) => method === '$/cancelRequest');
    expect(told).toHaveProperty('params', { id });
    expect(await rowOf(fleet, id)).toMatchObject({ status: 'cancelled' });
  });

  it('begins nothing if it cancels before', async () => {
    const fleet = await withAgent();
    const caller = { ...ADMIN, signal: AbortSignal.abort() };
    expect(await fleet.perform('send_agent_command', EXEC, caller)).toMatchObject({
      status: 'cancelled',
    });
    expect(fleet.test.hub.counters.callsInFlight).toBe(0);
  });

  it('leaves the command alone when its connection closes, and the result is there for others', async () => {
    const fleet = await withAgent();
    const gone = new AbortController();
    const sent = fleet.perform('send_agent_command', EXEC, { ...ADMIN, signal: gone.signal });
    const { id } = await fleet.agent.request();
    gone.abort(new CallerGone());
    expect(await sent).toMatchObject({ status: 'running' });
    const waiting = fleet.perform('get_command', { command_id: id, wait_seconds: 3_600 });
    fleet.agent.answer(id, DONE);
    expect(await waiting).toMatchObject({ status: 'succeeded', result: DONE });
  });

  it('ends only its wait when it waited for the command of another', async () => {
    const fleet = await withAgent();
    const sent = fleet.perform('send_agent_command', EXEC);
    const { id } = await fleet.agent.request();
    const cancel = new AbortController();
    const waiting = fleet.perform(
      'get_command',
      { command_id: id, wait_seconds: 3_600 },
      { ...ADMIN, signal: cancel.signal },
    );
    cancel.abort();
    expect(await waiting).toMatchObject({ status: 'running' });
    fleet.agent.answer(id, DONE);
    expect(await sent).toMatchObject({ status: 'succeeded' });
  });
});

describe('the result of a command', () => {
  async function kept(
    command: object,
    result: unknown,
    { isAwaited = true }: { isAwaited?: boolean } = {},
  ): Promise<string | undefined> {
    const fleet = await withAgent();
    const args = { ...command, ...(isAwaited ? {} : { wait_seconds: 0 }) };
    const sent = fleet.perform('send_agent_command', args);
    const { id } = await fleet.agent.request();
    if (!isAwaited) await sent;
    fleet.agent.answer(id, result);
    await sent;
    await eventually(async () =>
      expect(await rowOf(fleet, id)).toMatchObject({ status: 'succeeded' }),
    );
    return (await fleet.test.database.db.results.read(id))?.text;
  }

  it('is kept', async () => {
    expect(JSON.parse((await kept(EXEC, DONE)) ?? '')).toEqual(DONE);
  });

  it('of a method that only reads is kept if nobody waited, or got it whole', async () => {
    expect(await kept(PING, PONG)).toBeUndefined();
    expect(JSON.parse((await kept(PING, PONG, { isAwaited: false })) ?? '')).toEqual(PONG);
    const long = { ...PONG, more: 'x'.repeat(60_000) };
    expect(JSON.parse((await kept(PING, long)) ?? '')).toEqual(long);
  });

  it('is kept without the values of environments, and not at all if these were asked for', async () => {
    const inspect = (params: object) => ({
      server_id: 'web-1',
      method: 'docker.containers.inspect',
      params: { container: 'db', ...params },
    });
    const answer = { Id: 'a', Name: 'db', Config: { Env: ['PASSWORD=hunter2'] } };
    const hidden = await kept(inspect({}), answer, { isAwaited: false });
    expect(hidden).toContain('PASSWORD=***');
    expect(hidden).not.toContain('hunter2');
    expect(await kept(inspect({ reveal_env: true }), answer, { isAwaited: false })).toBeUndefined();
  });

  it('of a method that only reads is answered to a wait that ends between the answer and the row', async () => {
    const fleet = await withAgent();
    const { commands } = fleet.test.database.db;
    const gone = new AbortController();
    const finish = commands.finish.bind(commands);
    commands.finish = async (id, end) => {
      gone.abort(new CallerGone());
      // All that follows from the end of the wait has followed.
      await setImmediate();
      await finish(id, end);
    };
    const sent = fleet.perform('send_agent_command', PING, { ...ADMIN, signal: gone.signal });
    const { id } = await fleet.agent.request();
    fleet.agent.answer(id, PONG);
    expect(await sent).toMatchObject({ status: 'succeeded', result: PONG });
  });

  it('of a method that only reads is kept for whoever else was told that it runs', async () => {
    const fleet = await withAgent();
    const sent = fleet.perform('send_agent_command', PING);
    const { id } = await fleet.agent.request();
    const asked = { command_id: id };
    expect(await fleet.perform('get_command', asked)).toMatchObject({ status: 'running' });
    fleet.agent.answer(id, PONG);
    expect(await sent).toMatchObject({ result: PONG });
    expect(await fleet.perform('get_command', asked)).toMatchObject({ result: PONG });
  });
});

describe('run_on_agents', () => {
  it('lets what runs go on when its caller is gone, and begins no further one', async () => {
    const fleet = await withAgent();
    await fleet.test.join('web-2', { protocol: 1 });
    const gone = new AbortController();
    const { server_id: _one, ...exec } = EXEC;
    const run = fleet.perform(
      'run_on_agents',
      { all: true, ...exec, max_concurrency: 1 },
      { ...ADMIN, signal: gone.signal },
    );
    const { id } = await fleet.agent.request();
    gone.abort(new CallerGone());
    await run;
    fleet.agent.answer(id, DONE);
    await eventually(async () =>
      expect(await rowOf(fleet, id)).toMatchObject({ status: 'succeeded' }),
    );
    const kept = await fleet.test.database.db.results.read(id);
    expect(JSON.parse(kept?.text ?? '')).toEqual(DONE);
    expect(await fleet.test.database.db.commands.recent({ limit: 9 })).toHaveLength(1);
  });
});

describe('commands that one actor leaves under way', () => {
  const begin = (fleet: TestFleet, caller: Caller) =>
    fleet.perform('send_agent_command', { ...EXEC, wait_seconds: 0 }, caller);
  const GREEDY: Caller = { actor: 'token:greedy', access: 'admin' };

  it('are at most a quarter of what an agent takes, and the others have the rest', async () => {
    const fleet = await withAgent();
    const begun = await Promise.all(Array.from({ length: 64 }, () => begin(fleet, GREEDY)));
    await expect(begin(fleet, GREEDY)).rejects.toMatchObject({
      name: 'LIMIT_REACHED',
      message: expect.stringMatching(/64 .*token:greedy.* web-1 .*cancel_command/),
    });
    expect(await begin(fleet, ADMIN)).toMatchObject({ status: 'running' });
    const id = begun[0]?.command_id ?? '';
    fleet.agent.answer(id, DONE);
    await eventually(async () =>
      expect(await begin(fleet, GREEDY)).toMatchObject({ status: 'running' }),
    );
  });

  it('take no place if they cannot be recorded', async () => {
    const fleet = await withAgent();
    const { client } = fleet.test.database;
    client.exec('ALTER TABLE commands RENAME TO away');
    for (let count = 0; count < 65; count += 1) {
      await expect(begin(fleet, GREEDY)).rejects.not.toMatchObject({ name: 'LIMIT_REACHED' });
    }
    client.exec('ALTER TABLE away RENAME TO commands');
    expect(await begin(fleet, GREEDY)).toMatchObject({ status: 'running' });
  });
});
