import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { commandScene, slowCommand } from './support/command-scene.ts';
import { commandRows, exec, inFlight } from './support/commands.ts';
import { eventually } from './support/hub.ts';
import type { TestClient } from './support/mcp-client.ts';
import { Started } from './support/processes.ts';
import { connect, startServer } from './support/tomo.ts';

const SERVER_ID = 'web-1';
const ANSWER_LOST = 1013;

let started: Started;
beforeEach(() => {
  started = new Started();
});
afterEach(async () => {
  await started[Symbol.asyncDispose]();
});

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

describe('a command under way', () => {
  it('ends succeeded in the history when the hub was killed meanwhile', async () => {
    const { server, client, agent } = await commandScene(started);
    const { command, begun, runs } = slowCommand(started, 3);
    const lost = exec(client, SERVER_ID, command).catch(() => undefined);
    await begun();
    const before = agent.lineCount();
    await server.program.stop('SIGKILL');
    await lost;
    expect(commandRows(server.dataDir, 'system.exec')).toMatchObject([{ status: 'running' }]);
    const again = await startServer(started, { dataDir: server.dataDir, port: server.port });
    const later = await connect(started, 'v2-auto', again.http);
    await agent.line('"connected"', before);
    await eventuallyEnded(later, { status: 'succeeded', result_bytes: expect.any(Number) });
    expect(runs()).toBe(1);
    expect(commandRows(server.dataDir, 'system.exec')[0]?.duration_ms).toBeGreaterThan(2_900);
  });

  it('is detached when the agent’s connection is cut, and succeeded when it is back', async () => {
    const { client, proxy, server } = await commandScene(started);
    const { command, begun, release, runs } = slowCommand(started);
    const sent = exec(client, SERVER_ID, command);
    await inFlight(server, 1);
    await begun();
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
    release();
    await eventuallyEnded(client, { status: 'succeeded' });
    expect(runs()).toBe(1);
  });

  it('fails when its agent was killed, as soon as the next process comes', async () => {
    const { client, installed, agent } = await commandScene(started);
    const { command, begun } = slowCommand(started);
    const sent = exec(client, SERVER_ID, command);
    await begun();
    await agent.stop('SIGKILL');
    expect(await sent).toMatchObject({ status: 'detached' });
    expect(await history(client)).toMatchObject({ status: 'detached' });
    await installed.start();
    await eventuallyEnded(client, { status: 'failed', error: { code: ANSWER_LOST } });
  });
});

describe('an answer that the hub got but did not store before it was killed', () => {
  it('is brought again and stored once', async () => {
    const { server, client, agent, proxy } = await commandScene(started);
    const { command, begun, release, runs } = slowCommand(started);
    const sent = exec(client, SERVER_ID, command);
    await begun();
    const lock = new Sqlite(join(server.dataDir, 'tomo.db'));
    started.defer(() => void lock.close());
    lock.exec('BEGIN IMMEDIATE');
    release();
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
    expect(runs()).toBe(1);
  });
});
