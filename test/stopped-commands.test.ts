import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  allGone,
  ask,
  commandScene,
  execArgs,
  onlyId,
  processTree,
} from './support/command-scene.ts';
import { settledRows } from './support/commands.ts';
import { Started } from './support/processes.ts';
import { connect, startServer } from './support/tomo.ts';

let started: Started;
beforeEach(() => {
  started = new Started();
});
afterEach(async () => {
  await started[Symbol.asyncDispose]();
});

describe('no process is left on the server', () => {
  it.each([
    { kind: 'v2-auto', transport: 'http' },
    { kind: 'v2-auto', transport: 'stdio' },
    { kind: 'v1', transport: 'http' },
    { kind: 'v1', transport: 'stdio' },
  ] as const)('when a $kind client over $transport cancels', async ({ kind, transport }) => {
    const { server } = await commandScene(started);
    const client = await connect(started, kind, server[transport]);
    const { command, pids } = processTree(started);
    const cancel = new AbortController();
    const call = client.callTool('send_agent_command', execArgs(command), cancel.signal);
    call.catch(() => undefined);
    const running = await pids();
    cancel.abort();
    await expect(call).rejects.toThrow();
    await allGone(running);
    const [row] = await settledRows(server.dataDir, 'system.exec');
    expect(row).toMatchObject({ status: 'cancelled' });
  });

  it('after cancel_command of another client', async () => {
    const { server, client } = await commandScene(started);
    const { command, pids } = processTree(started);
    const other = await connect(started, 'v1', server.stdio);
    const sent = ask(other, 'send_agent_command', execArgs(command));
    const running = await pids();
    const cancelled = await ask(client, 'cancel_command', { command_id: onlyId(server) });
    expect(cancelled).toMatchObject({ status: 'cancelled', error: { name: 'COMMAND_CANCELLED' } });
    await allGone(running);
    expect(await sent).toMatchObject({ status: 'cancelled' });
  });

  it('after cancel_command of one whose hub was killed meanwhile', async () => {
    const { server, client, agent } = await commandScene(started);
    const { command, pids } = processTree(started);
    const { command_id } = await ask(
      client,
      'send_agent_command',
      execArgs(command, { wait_seconds: 0 }),
    );
    const running = await pids();
    const before = agent.lineCount();
    await server.program.stop('SIGKILL');
    const again = await startServer(started, { dataDir: server.dataDir, port: server.port });
    await agent.line('"connected"', before);
    const later = await connect(started, 'v2-auto', again.http);
    expect(await ask(later, 'cancel_command', { command_id })).toMatchObject({
      status: 'cancelled',
    });
    await allGone(running);
  });

  it('when its time is over', async () => {
    const { client } = await commandScene(started);
    const { command, pids } = processTree(started);
    const sent = ask(client, 'send_agent_command', execArgs(command, {}, { timeout: 1 }));
    const running = await pids();
    expect(await sent).toMatchObject({ status: 'timed_out' });
    await allGone(running);
  });
});
