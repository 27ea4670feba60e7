import { describe, expect, it } from 'vitest';
import { RESULT_KEPT_MS } from '../../protocol/limits.ts';
import { PONG } from '../../test/support/fake-agent.ts';
import { ADMIN, READER, startFleet } from '../../test/support/fleet.ts';
import {
  begun,
  DONE,
  EXEC,
  ended,
  output,
  type Scene,
  scene,
} from '../../test/support/fleet-commands.ts';
import { eventually } from '../../test/support/hub.ts';
import { openHandle } from '../../test/support/temporary-database.ts';

const PING = { method: 'agent.ping', params: {} };
describe('get_command', () => {
  it('refuses an id that there is not, and says where ids are shown', async () => {
    const { perform } = await startFleet();
    await expect(perform('get_command', { command_id: 'c9' })).rejects.toMatchObject({
      name: 'INVALID_PARAMS',
      message: expect.stringContaining('get_command_history'),
    });
  });

  it('shows a command only to who could have run it', async () => {
    const fleet = await scene();
    const exec = await ended(fleet);
    const ping = await ended(fleet, PONG, { method: 'agent.ping', params: {} });
    const asReader = (command_id: string) => fleet.perform('get_command', { command_id }, READER);
    await expect(asReader(exec)).rejects.toMatchObject({
      name: 'ACCESS_DENIED',
      message: expect.stringMatching(/system\.exec.*"admin".*"read".*get_command_history/),
    });
    expect(await asReader(ping)).toMatchObject({ status: 'succeeded', result: PONG });
  });

  it('shows the output from an offset on, and waits for new output there', async () => {
    const fleet = await scene();
    const id = await begun(fleet);
    output(fleet.agent, id, 0, 0, 'one\n');
    const from = (offset: number, wait_seconds = 3_600) =>
      fleet.perform('get_command', { command_id: id, offset, wait_seconds });
    const first = await from(0);
    expect(first).toMatchObject({
      status: 'running',
      output: { next_offset: 4, parts: [{ stream: 'stdout', text: 'one\n' }] },
    });
    const second = from(4);
    output(fleet.agent, id, 1, 4, 'two\n');
    expect(await second).toMatchObject({
      output: { offset: 4, next_offset: 8, parts: [{ text: 'two\n' }] },
    });
    // Asked again because the answer was lost.
    expect(await from(4)).toMatchObject({ output: { offset: 4, parts: [{ text: 'two\n' }] } });
    const last = from(8);
    fleet.agent.answer(id, DONE);
    expect(await last).toMatchObject({ status: 'succeeded', result: DONE });
  });

  it('refuses an offset past the end of the output at once, and names the end', async () => {
    const fleet = await scene();
    const id = await begun(fleet);
    output(fleet.agent, id, 0, 0, 'one\n');
    await fleet.perform('get_command', { command_id: id, offset: 0, wait_seconds: 3_600 });
    await expect(
      fleet.perform('get_command', { command_id: id, offset: 5, wait_seconds: 3_600 }),
    ).rejects.toMatchObject({
      name: 'INVALID_PARAMS',
      message: expect.stringMatching(/offset 5 .* 4 bytes/),
    });
  });

  it('gives the result that it waited for, also of a method that only reads', async () => {
    const fleet = await scene();
    const id = await begun(fleet, PING);
    const waiting = ['get_command', 'cancel_command'] as const;
    const answers = Promise.all(
      waiting.map((name) => fleet.perform(name, { command_id: id, wait_seconds: 60 })),
    );
    await fleet.agent.nextWhere(({ method }) => method === '$/cancelRequest');
    fleet.agent.answer(id, PONG);
    for (const answer of await answers) {
      expect(answer).toMatchObject({ status: 'succeeded', result: PONG });
      expect(answer).not.toHaveProperty('note');
    }
    expect(await fleet.perform('get_command', { command_id: id })).toMatchObject({ result: PONG });
  });

  it('gives it also while who began the command waits for it and takes it', async () => {
    const fleet = await scene();
    const sent = fleet.perform('send_agent_command', { ...EXEC, ...PING, wait_seconds: 60 });
    const { id } = await fleet.agent.request();
    const steps: string[] = [];
    const waiting = fleet.perform(
      'get_command',
      { command_id: id, wait_seconds: 60 },
      { ...ADMIN, progress: (message) => steps.push(message) },
    );
    fleet.agent.notify('$/progress', { id, seq: 0, data: 'seen' });
    await eventually(() => expect(steps).toEqual(['seen']));
    fleet.agent.answer(id, PONG);
    expect((await sent).result).toEqual(PONG);
    expect((await waiting).result).toEqual(PONG);
  });

  it('pages through a long result until nothing is left', async () => {
    const fleet = await scene();
    const lines = Array.from({ length: 20_000 }, (_, line) => `line ${line}`).join('\n');
    const id = await begun(fleet);
    const waiting = fleet.perform('get_command', { command_id: id, wait_seconds: 3_600 });
    fleet.agent.answer(id, { ...DONE, stdout: lines });
    let page = await waiting;
    expect(page).toMatchObject({ status: 'succeeded', truncated: true });
    expect(page).not.toHaveProperty('result');
    let text = page.result_text ?? '';
    while (page.next_result_offset !== undefined) {
      const result_offset = page.next_result_offset;
      page = await fleet.perform('get_command', { command_id: id, result_offset });
      expect(page.result_text?.length).toBeLessThanOrEqual(50_000);
      text += page.result_text;
    }
    expect(text).toHaveLength(page.result_chars ?? 0);
    expect(JSON.parse(text)).toEqual({ ...DONE, stdout: lines });
    await expect(
      fleet.perform('get_command', { command_id: id, result_offset: text.length }),
    ).rejects.toMatchObject({ name: 'INVALID_PARAMS' });
  });

  it('pages through a long result by characters, and refuses a place inside one', async () => {
    const fleet = await scene();
    const result = { ...DONE, stdout: `x${'😀'.repeat(100_000)}` };
    const id = await ended(fleet, result);
    const from = (result_offset: number) =>
      fleet.perform('get_command', { command_id: id, result_offset });
    let text = '';
    for (let next: number | undefined = 0; next !== undefined; ) {
      const page = await from(next);
      expect(page.result_text?.isWellFormed()).toBe(true);
      text += page.result_text;
      next = page.next_result_offset;
    }
    expect(JSON.parse(text)).toEqual(result);
    const inside = text.indexOf('😀') + 1;
    await expect(from(inside)).rejects.toMatchObject({ name: 'INVALID_PARAMS' });
  });

  it('waits for a command whose agent went, until it brings the answer', async () => {
    const fleet = await scene();
    const id = await begun(fleet);
    fleet.agent.cut();
    await eventually(async () =>
      expect(await fleet.perform('get_command', { command_id: id })).toMatchObject({
        status: 'detached',
        error: { name: 'CONNECTION_LOST' },
      }),
    );
    const waiting = fleet.perform('get_command', { command_id: id, wait_seconds: 3_600 });
    const hello = { protocol: 1, instance_id: 'p', held: [id] };
    const { agent } = await fleet.test.rejoin(fleet.token, hello);
    agent.answer(id, DONE);
    const answer = await waiting;
    expect(answer).toMatchObject({ status: 'succeeded', result: DONE });
    expect(answer).not.toHaveProperty('error');
  });

  it('shows the error of one that failed', async () => {
    const fleet = await scene();
    const id = await begun(fleet);
    const waiting = fleet.perform('get_command', { command_id: id, wait_seconds: 3_600 });
    fleet.agent.fail(id, { code: 1207, message: 'no shell' });
    expect(await waiting).toEqual({
      command_id: id,
      status: 'failed',
      error: { code: 1207, name: 'EXEC_FAILED', message: 'no shell' },
      duration_ms: expect.any(Number),
    });
  });

  it('shows an end and a result that the database has not taken yet', async () => {
    const fleet = await scene();
    const id = await begun(fleet);
    const other = openHandle(fleet.test.database.file).client;
    other.exec('BEGIN IMMEDIATE');
    const waiting = fleet.perform('get_command', { command_id: id, wait_seconds: 3_600 });
    fleet.agent.answer(id, DONE);
    expect(await waiting).toMatchObject({ status: 'succeeded', result: DONE });
    other.exec('ROLLBACK');
  });
});

describe('a result that is not kept', () => {
  const noteOf = async (fleet: Scene, command_id: string) =>
    (await fleet.perform('get_command', { command_id })).note;

  it('says that it was too old, or gave way to newer ones', async () => {
    const fleet = await scene();
    const id = await ended(fleet);
    const ping = await ended(fleet, PONG, PING);
    const { db, client } = fleet.test.database;
    await db.results.deleteBefore(Date.now() + 1);
    expect(await noteOf(fleet, id)).toMatch(/512 MiB.* tester .*web-1.* gave way .*carried out/);
    expect(await noteOf(fleet, ping)).toMatch(/gave way.*Run it again/);
    client.prepare('UPDATE commands SET started_at = started_at - ?').run(RESULT_KEPT_MS);
    expect(await noteOf(fleet, id)).toContain('24 hours');
  });

  it('says that the database did not take it', async () => {
    const fleet = await scene();
    const id = await ended(fleet);
    const { db, client } = fleet.test.database;
    await db.results.deleteBefore(Date.now() + 1);
    client.exec('UPDATE commands SET result_kept = 0');
    expect(await noteOf(fleet, id)).toMatch(/database.*carried out/);
  });

  it('says nothing of one whose answer was not valid: its error does', async () => {
    const fleet = await scene();
    const id = await begun(fleet, PING);
    fleet.agent.cut();
    await eventually(async () =>
      expect(await fleet.perform('get_command', { command_id: id })).toHaveProperty(
        'status',
        'detached',
      ),
    );
    const hello = { protocol: 1, instance_id: 'p', held: [id] };
    const waiting = fleet.perform('get_command', { command_id: id, wait_seconds: 3_600 });
    const { agent } = await fleet.test.rejoin(fleet.token, hello);
    agent.answer(id, { nothing: true });
    const answer = await waiting;
    expect(answer).toMatchObject({ status: 'failed', error: { name: 'INVALID_ANSWER' } });
    expect(answer).not.toHaveProperty('note');
  });

  it('says that the method only reads, and to run it again', async () => {
    const fleet = await scene();
    const sent = fleet.perform('send_agent_command', { server_id: 'web-1', method: 'agent.ping' });
    const { id } = await fleet.agent.request();
    fleet.agent.answer(id, PONG);
    await sent;
    expect(await noteOf(fleet, id)).toContain('Run it again');
  });

  it('says that values of environments are not kept', async () => {
    const fleet = await scene();
    const id = await begun(fleet, {
      method: 'docker.containers.inspect',
      params: { container: 'db', reveal_env: true },
    });
    const waiting = fleet.perform('get_command', { command_id: id, wait_seconds: 3_600 });
    fleet.agent.answer(id, { Id: 'a', Name: 'db', Config: { Env: ['A=b'] } });
    expect(await waiting).toHaveProperty('result.Config.Env', ['A=b']);
    expect(await noteOf(fleet, id)).toContain('environment');
  });

  it('says that a tool of its own leaves none', async () => {
    const fleet = await scene();
    await fleet.perform('revoke_agent', { server_id: 'web-1' });
    const { commands } = await fleet.perform('get_command_history', { method: 'revoke_agent' });
    expect(await noteOf(fleet, commands[0]?.command_id ?? '')).toContain('revoke_agent');
  });
});
