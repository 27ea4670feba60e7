import { describe, expect, it } from 'vitest';
import type { FakeAgent } from '../../test/support/fake-agent.ts';
import { READER, startFleet, type TestFleet } from '../../test/support/fleet.ts';
import { eventually } from '../../test/support/hub.ts';

const EXEC = { server_id: 'web-1', method: 'system.exec', params: { command: 'make' } };
const DONE = { stdout: 'made', stderr: '', exit_code: 0 };
const CANCELLED = { code: 1004, message: 'cancelled' };

interface Scene extends TestFleet {
  readonly agent: FakeAgent;
  readonly agentId: string;
  readonly token: string;
  readonly id: string;
}

/** An agent that works on a command. */
async function scene(hello: object = { protocol: 1, instance_id: 'p' }): Promise<Scene> {
  const fleet = await startFleet();
  const joined = await fleet.test.join('web-1', { ...hello });
  await fleet.perform('send_agent_command', { ...EXEC, wait_seconds: 0 });
  return { ...fleet, ...joined, id: (await joined.agent.request()).id };
}

const toldToStop = (agent: FakeAgent) =>
  agent.nextWhere(({ method }) => method === '$/cancelRequest');

describe('cancel_command', () => {
  it('has the agent stop the command, and answers how it ended there', async () => {
    const { perform, agent, id } = await scene();
    const cancelled = perform('cancel_command', { command_id: id });
    expect(await toldToStop(agent)).toHaveProperty('params', { id });
    agent.fail(id, CANCELLED);
    expect(await cancelled).toMatchObject({
      command_id: id,
      status: 'cancelled',
      error: { name: 'COMMAND_CANCELLED' },
    });
  });

  it('answers with the result if the command had just ended by itself', async () => {
    const { perform, agent, id } = await scene();
    const cancelled = perform('cancel_command', { command_id: id });
    await toldToStop(agent);
    agent.answer(id, DONE);
    expect(await cancelled).toMatchObject({ status: 'succeeded', result: DONE });
  });

  it('says that it was told to stop if it does not end in time, and how to wait on', async () => {
    const { perform, agent, id } = await scene();
    const answer = await perform('cancel_command', { command_id: id, wait_seconds: 0.02 });
    expect(answer).toMatchObject({
      status: 'running',
      note: expect.stringMatching(/told to stop.*get_command/),
    });
    await toldToStop(agent);
  });

  it('tells how one ended that has ended already', async () => {
    const { perform, agent, id } = await scene();
    const waiting = perform('get_command', { command_id: id, wait_seconds: 60 });
    agent.answer(id, DONE);
    await waiting;
    expect(await perform('cancel_command', { command_id: id })).toMatchObject({
      status: 'succeeded',
      result: DONE,
      note: expect.stringContaining('ended before'),
    });
  });

  it('gives up what an agent of the first deployment does, which cannot be told to stop', async () => {
    const { perform, id } = await scene({});
    expect(await perform('cancel_command', { command_id: id })).toMatchObject({
      status: 'cancelled',
      error: { message: expect.stringContaining('could not be told') },
    });
  });

  it('says of one whose agent is away that it goes on, and has it stopped once the agent is back', async () => {
    const { test, perform, agent, agentId, token, id } = await scene();
    agent.cut();
    await eventually(() => expect(test.hub.connected(agentId)).toBeUndefined());
    for (const wait_seconds of [0.02, 0]) {
      const answer = await perform('cancel_command', { command_id: id, wait_seconds });
      expect(answer).toMatchObject({ status: 'detached', note: expect.stringContaining('away') });
    }
    const hello = { protocol: 1, instance_id: 'p', held: [id] };
    const waiting = perform('get_command', { command_id: id, wait_seconds: 60 });
    const { agent: back } = await test.rejoin(token, hello);
    expect(await toldToStop(back)).toHaveProperty('params', { id });
    back.fail(id, CANCELLED);
    expect(await waiting).toMatchObject({ status: 'cancelled' });
  });

  it('stops one that is detached and whose agent is back', async () => {
    const { test, perform, agent, token, id } = await scene();
    agent.cut();
    const hello = { protocol: 1, instance_id: 'p', held: [id] };
    const { agent: back } = await test.rejoin(token, hello);
    const cancelled = perform('cancel_command', { command_id: id });
    expect(await toldToStop(back)).toHaveProperty('params', { id });
    back.fail(id, CANCELLED);
    expect(await cancelled).toMatchObject({ status: 'cancelled' });
  });

  it('is for those who could have run the command', async () => {
    const { perform, id } = await scene();
    await expect(perform('cancel_command', { command_id: id }, READER)).rejects.toMatchObject({
      name: 'ACCESS_DENIED',
    });
    expect(await perform('get_command', { command_id: id })).toMatchObject({ status: 'running' });
  });

  it('refuses what is no command of an agent', async () => {
    const { perform, test } = await scene();
    await expect(perform('cancel_command', { command_id: 'c9' })).rejects.toMatchObject({
      name: 'INVALID_PARAMS',
    });
    await test.database.db.commands.begin({
      id: 'tool',
      serverId: 'web-1',
      agentId: '',
      actor: 'http',
      origin: null,
      instanceId: null,
      method: 'install_agent',
      params: {},
      startedAt: Date.now(),
    });
    await expect(perform('cancel_command', { command_id: 'tool' })).rejects.toMatchObject({
      name: 'INVALID_PARAMS',
      message: expect.stringContaining('install_agent'),
    });
  });
});
