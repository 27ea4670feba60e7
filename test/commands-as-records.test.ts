import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  type Answer,
  allGone,
  answerSchema,
  ask,
  commandScene,
  descendantsOf,
  execArgs,
  onlyId,
  type Scene,
  type SlowCommand,
  slowCommand,
} from './support/command-scene.ts';
import { commandRows, inFlight, settledRows } from './support/commands.ts';
import { eventually } from './support/hub.ts';
import type { ClientKind, TestClient } from './support/mcp-client.ts';
import { Started } from './support/processes.ts';
import { sized } from './support/test-size.ts';
import { addToken, connect, startServer } from './support/tomo.ts';

const ONE_CALLER = fileURLToPath(new URL('support/one-caller.ts', import.meta.url));
/** How long the command of the test of everything takes; in the short run it ends when it is let. */
const RUN_SECONDS = sized({ short: 0, full: 180 });
const LONG_TEST_MS = 60_000 + 2 * RUN_SECONDS * 1_000;

let started: Started;
beforeEach(() => {
  started = new Started();
});
afterEach(async () => {
  await started[Symbol.asyncDispose]();
});

/** A client in a process of its own that begins the command; killed when it runs. */
async function beginAndKill(
  { server }: Scene,
  kind: ClientKind,
  transport: 'http' | 'stdio',
  { command, begun }: SlowCommand,
): Promise<void> {
  const target = JSON.stringify(server[transport]);
  const args = JSON.stringify(execArgs(command));
  const caller = started.script(ONE_CALLER, [kind, target, 'send_agent_command', args]);
  await begun();
  // Over stdio the client has started programs, which end by themselves.
  const children = descendantsOf(caller.pid);
  await caller.stop('SIGKILL');
  await allGone(children);
  expect(caller.output()).toBe('');
}

/** Waits for a command as hosts do: in calls that are over in less than a minute. */
async function endOf(client: TestClient, id: string): Promise<Answer> {
  for (;;) {
    const answer = await ask(client, 'get_command', { command_id: id, wait_seconds: 45 });
    if (answer.status !== 'running' && answer.status !== 'detached') return answer;
  }
}

const KILLED = [
  { kind: 'v2-auto', transport: 'stdio' },
  { kind: 'v2-legacy', transport: 'stdio' },
  { kind: 'v1', transport: 'stdio' },
  { kind: 'v2-legacy', transport: 'http' },
  { kind: 'v1', transport: 'http' },
] as const;

describe('a command whose client was killed', () => {
  it.each(KILLED)(
    '$kind over $transport goes on, and its result is there for another client',
    async ({ kind, transport }) => {
      const all = await commandScene(started, kind === 'v1' ? 'v2-auto' : 'v1');
      const slow = slowCommand(started);
      await beginAndKill(all, kind, transport, slow);
      const id = onlyId(all.server);
      const waiting = ask(all.client, 'get_command', { command_id: id, wait_seconds: 60 });
      expect(await ask(all.client, 'get_command', { command_id: id })).toMatchObject({
        status: 'running',
      });
      slow.release();
      expect(await waiting).toMatchObject({
        status: 'succeeded',
        result: { stdout: 'begun\ndone\n', exit_code: 0 },
      });
      expect(slow.runs()).toBe(1);
      expect(commandRows(all.server.dataDir, 'system.exec')).toHaveLength(1);
    },
  );

  it('ends once, through a redial of its agent and a hub that is killed', {
    timeout: LONG_TEST_MS,
  }, async () => {
    const all = await commandScene(started);
    const { server, proxy, agent } = all;
    const slow = slowCommand(started, RUN_SECONDS);
    await beginAndKill(all, 'v2-auto', 'stdio', slow);
    const id = onlyId(server);

    let before = agent.lineCount();
    proxy.cut();
    await agent.line('"connected"', before);
    await eventually(async () =>
      expect(await ask(all.client, 'get_command', { command_id: id })).toMatchObject({
        status: 'detached',
      }),
    );

    before = agent.lineCount();
    await server.program.stop('SIGKILL');
    const again = await startServer(started, { dataDir: server.dataDir, port: server.port });
    await agent.line('"connected"', before);
    const later = await connect(started, 'v1', again.http);
    const waiting = endOf(later, id);
    slow.release();
    const ended = { status: 'succeeded', result: { stdout: 'begun\ndone\n', exit_code: 0 } };
    expect(await waiting).toMatchObject(ended);
    const [row] = await settledRows(server.dataDir, 'system.exec');

    // Whatever the agent brings once more changes nothing.
    before = agent.lineCount();
    proxy.cut();
    await agent.line('"connected"', before);
    expect(await ask(later, 'get_command', { command_id: id })).toMatchObject(ended);
    expect(commandRows(server.dataDir, 'system.exec')).toEqual([row]);
    expect(slow.runs()).toBe(1);
  });

  it('is stopped over HTTP of the 2026 protocol, where closing the request is the cancel', async () => {
    const all = await commandScene(started);
    const slow = slowCommand(started);
    await beginAndKill(all, 'v2-auto', 'http', slow);
    const [row] = await settledRows(all.server.dataDir, 'system.exec');
    expect(row).toMatchObject({ status: 'cancelled' });
  });
});

describe('a command that runs', () => {
  it('is begun with wait_seconds 0, read from an offset on, and its end awaited', async () => {
    const { client } = await commandScene(started, 'v1');
    const slow = slowCommand(started);
    const begun = await client.callTool(
      'send_agent_command',
      execArgs(slow.command, { wait_seconds: 0 }),
    );
    expect(begun.isError ?? false).toBe(false);
    const { command_id, status } = answerSchema.parse(begun.structuredContent);
    expect(status).toBe('running');
    expect(begun.content[0]?.text).toContain(command_id);
    const from = (offset: number) =>
      ask(client, 'get_command', { command_id, offset, wait_seconds: 30 });
    const first = await from(0);
    expect(first).toMatchObject({
      status: 'running',
      output: { next_offset: 6, parts: [{ stream: 'stdout', text: 'begun\n' }] },
    });
    const rest = from(6);
    slow.release();
    const last = await rest;
    const ended = last.status === 'running' ? await from(11) : last;
    expect(ended).toMatchObject({ status: 'succeeded', result: { stdout: 'begun\ndone\n' } });
  });

  it('tells a client that waits and listens how far it is', async () => {
    const { client } = await commandScene(started);
    const slow = slowCommand(started);
    const messages: (string | undefined)[] = [];
    const call = client.callTool('send_agent_command', execArgs(slow.command), undefined, (step) =>
      messages.push(step.message),
    );
    await eventually(() => expect(messages).toContain('begun'));
    slow.release();
    expect((await call).isError ?? false).toBe(false);
  });

  it('is shown as running in the history, and not there any more when it was ended', async () => {
    const { server, client } = await commandScene(started);
    const slow = slowCommand(started);
    await ask(client, 'send_agent_command', execArgs(slow.command, { wait_seconds: 0 }));
    const running = async () => {
      const answer = await client.callTool('get_command_history', { status: 'running' });
      return answer.structuredContent;
    };
    await slow.begun();
    expect(await running()).toMatchObject({ commands: [{ command_id: onlyId(server) }] });
    await inFlight(server, 1);
    slow.release();
    await settledRows(server.dataDir, 'system.exec');
    expect(await running()).toEqual({ commands: [] });
  });
});

describe('a result that is kept', () => {
  it('is read part by part when it is long', async () => {
    const { client } = await commandScene(started);
    let part = await ask(client, 'send_agent_command', execArgs('seq 1 50000'));
    const { command_id } = part;
    let text = part.result_text ?? '';
    while (part.next_result_offset !== undefined) {
      const result_offset = part.next_result_offset;
      part = await ask(client, 'get_command', { command_id, result_offset });
      text += part.result_text ?? '';
    }
    const { stdout } = z.looseObject({ stdout: z.string() }).parse(JSON.parse(text));
    expect(stdout.trim().split('\n').map(Number)).toEqual(
      Array.from({ length: 50_000 }, (_, index) => index + 1),
    );
  });

  it('is not for a token of less access than its command needed', async () => {
    const { server, client } = await commandScene(started);
    const { command_id } = await ask(client, 'send_agent_command', execArgs('echo secret'));
    const token = await addToken(started, server, 'reader', 'read');
    const reader = await connect(started, 'v2-auto', { url: `${server.url}/mcp`, token });
    for (const tool of ['get_command', 'cancel_command']) {
      const refused = await reader.callTool(tool, { command_id });
      expect(refused).toMatchObject({
        isError: true,
        structuredContent: { error: { name: 'ACCESS_DENIED' } },
      });
      expect(JSON.stringify(refused)).not.toContain('secret');
    }
    expect(await ask(client, 'get_command', { command_id })).toMatchObject({
      result: { stdout: 'secret\n' },
    });
  });
});
