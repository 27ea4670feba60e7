import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { commandRows, exec, inFlight } from './support/commands.ts';
import { FaultProxy } from './support/fault-proxy.ts';
import { eventually } from './support/hub.ts';
import { type InstalledAgent, installAgent } from './support/installed-agent.ts';
import type { TestClient } from './support/mcp-client.ts';
import { type Program, Started } from './support/processes.ts';
import { connect, startServer, type TomoServer } from './support/tomo.ts';

const SERVER_ID = 'web-1';
const ANSWER_LOST = 1013;

let started: Started;
beforeEach(() => {
  started = new Started();
});
afterEach(async () => {
  await started[Symbol.asyncDispose]();
});

interface Scene {
  readonly server: TomoServer;
  readonly client: TestClient;
  readonly installed: InstalledAgent;
  readonly proxy: FaultProxy;
  readonly agent: Program;
}

/** A server and an agent, each a process, and a proxy between them. */
async function scene(): Promise<Scene> {
  const server = await startServer(started);
  const client = await connect(started, 'v2-auto', server.http);
  const proxy = await FaultProxy.start(server.port);
  started.defer(() => proxy[Symbol.asyncDispose]());
  const installed = await installAgent(started, { url: proxy.url }, client, SERVER_ID);
  const agent = await installed.start();
  return { server, client, installed, proxy, agent };
}

const historySchema = z.object({
  commands: z.array(
    z.looseObject({
      command_id: z.string(),
      status: z.string(),
      error: z.object({ code: z.number(), message: z.string() }).optional(),
    }),
  ),
});

/** What the tool tells of the only command that was run. */
async function history(client: TestClient) {
  const args = { server_id: SERVER_ID, method: 'system.exec' };
  const { structuredContent } = await client.callTool('get_command_history', args);
  const { commands } = historySchema.parse(structuredContent);
  expect(commands).toHaveLength(1);
  return commands[0];
}

async function eventuallyEnded(client: TestClient, end: object): Promise<void> {
  await eventually(async () => expect(await history(client)).toMatchObject(end));
}

/** A command that takes some seconds, ends when a test lets it, and leaves a line for each run. */
function slowCommand(): {
  readonly command: string;
  readonly release: string;
  readonly runs: string;
} {
  const directory = started.directory();
  const [release, runs] = [join(directory, 'release'), join(directory, 'runs')];
  const command = `echo run >> ${runs}; while [ ! -e ${release} ]; do sleep 0.05; done; echo done`;
  return { command, release, runs };
}

describe('a command under way', () => {
  it('ends succeeded in the history when the hub was killed meanwhile', async () => {
    const { server, client, agent } = await scene();
    const runs = join(started.directory(), 'runs');
    const lost = exec(client, SERVER_ID, `echo run >> ${runs}; sleep 3; echo done`).catch(
      () => undefined,
    );
    await eventually(() => expect(existsSync(runs)).toBe(true));
    const before = agent.lineCount();
    await server.program.stop('SIGKILL');
    await lost;
    expect(commandRows(server.dataDir, 'system.exec')).toMatchObject([{ status: 'running' }]);
    const again = await startServer(started, { dataDir: server.dataDir, port: server.port });
    const later = await connect(started, 'v2-auto', again.http);
    await agent.line('"connected"', before);
    await eventuallyEnded(later, { status: 'succeeded', result_bytes: expect.any(Number) });
    expect(readFileSync(runs, 'utf8')).toBe('run\n');
    expect(commandRows(server.dataDir, 'system.exec')[0]?.duration_ms).toBeGreaterThan(2_900);
  });

  it('is detached when the agent’s connection is cut, and succeeded when it is back', async () => {
    const { client, proxy, server } = await scene();
    const { command, release, runs } = slowCommand();
    const sent = exec(client, SERVER_ID, command);
    await inFlight(server, 1);
    await eventually(() => expect(existsSync(runs)).toBe(true));
    proxy.cut();
    expect(await sent).toMatchObject({
      status: 'detached',
      error: {
        name: 'CONNECTION_LOST',
        message: expect.stringMatching(/may still run.*get_command_history/),
      },
    });
    expect(await history(client)).toMatchObject({ status: 'detached' });
    // Ended only now, so that nothing but its answer can have ended the row.
    writeFileSync(release, '');
    await eventuallyEnded(client, { status: 'succeeded' });
    expect(readFileSync(runs, 'utf8')).toBe('run\n');
  });

  it('fails when its agent was killed, as soon as the next process comes', async () => {
    const { client, installed, agent } = await scene();
    const { command, runs } = slowCommand();
    const sent = exec(client, SERVER_ID, command);
    await eventually(() => expect(existsSync(runs)).toBe(true));
    await agent.stop('SIGKILL');
    expect(await sent).toMatchObject({ status: 'detached' });
    expect(await history(client)).toMatchObject({ status: 'detached' });
    await installed.start();
    await eventuallyEnded(client, { status: 'failed', error: { code: ANSWER_LOST } });
  });
});

describe('an answer that the hub got but did not store before it was killed', () => {
  it('is brought again and stored once', async () => {
    const { server, client, agent, proxy } = await scene();
    const { command, release, runs } = slowCommand();
    const sent = exec(client, SERVER_ID, command);
    await eventually(() => expect(existsSync(runs)).toBe(true));
    const lock = new Sqlite(join(server.dataDir, 'tomo.db'));
    started.defer(() => void lock.close());
    lock.exec('BEGIN IMMEDIATE');
    writeFileSync(release, '');
    expect(await sent).toMatchObject({ status: 'succeeded' });
    let before = agent.lineCount();
    await server.program.stop('SIGKILL');
    lock.exec('ROLLBACK');
    expect(commandRows(server.dataDir, 'system.exec')).toMatchObject([{ status: 'running' }]);

    const again = await startServer(started, { dataDir: server.dataDir, port: server.port });
    const later = await connect(started, 'v2-auto', again.http);
    await agent.line('"connected"', before);
    await eventuallyEnded(later, { status: 'succeeded' });
    const [row] = commandRows(server.dataDir, 'system.exec');

    // Back once more it has nothing to bring, and nothing changes.
    before = agent.lineCount();
    proxy.cut();
    await agent.line('"connected"', before);
    await eventually(async () =>
      expect(await later.callTool('get_agent_status', { server_id: SERVER_ID })).toMatchObject({
        structuredContent: { status: 'connected' },
      }),
    );
    expect(commandRows(server.dataDir, 'system.exec')).toEqual([row]);
    expect(readFileSync(runs, 'utf8')).toBe('run\n');
  });
});
