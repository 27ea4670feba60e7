import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { commandRows, inFlight, settledRows } from './support/commands.ts';
import { FakeAgent } from './support/fake-agent.ts';
import { eventually } from './support/hub.ts';
import { installAgent, socketUrl } from './support/installed-agent.ts';
import type { TestClient } from './support/mcp-client.ts';
import { Started } from './support/processes.ts';
import { connect, startServer, type TomoServer } from './support/tomo.ts';

const started = new Started();
let server: TomoServer;
let client: TestClient;

beforeAll(async () => {
  server = await startServer(started);
  client = await connect(started, 'v2-auto', server.http);
  for (const serverId of ['web-1', 'web-2', 'away']) {
    const agent = await (await installAgent(started, server, client, serverId)).start();
    if (serverId === 'away') await agent.stop();
  }
  await eventually(async () =>
    expect(await client.callTool('get_agent_status', { server_id: 'away' })).toMatchObject({
      structuredContent: { status: 'disconnected' },
    }),
  );
});

afterAll(() => started[Symbol.asyncDispose]());

const exec = (command: string) => ({ all: true, method: 'system.exec', params: { command } });

describe('run_on_agents with agents that are processes', () => {
  it('shows the answer of two servers once, and that the third is away', async () => {
    const steps: string[] = [];
    const { structuredContent, content, isError } = await client.callTool(
      'run_on_agents',
      exec('echo same'),
      undefined,
      ({ message }) => steps.push(message ?? ''),
    );
    expect(isError ?? false).toBe(false);
    expect(structuredContent).toMatchObject({
      groups: [
        {
          server_ids: ['web-1', 'web-2'],
          status: 'succeeded',
          result: { stdout: 'same\n', exit_code: 0 },
        },
      ],
      failures: [
        {
          server_id: 'away',
          status: 'failed',
          error: {
            code: 1001,
            name: 'AGENT_NOT_CONNECTED',
            message: expect.stringContaining('last seen'),
          },
        },
      ],
      counts: { asked: 3, succeeded: 2, failed: 1 },
    });
    const text = content[0]?.text;
    expect(text).toContain('3 asked, 2 succeeded, 1 failed.\nweb-1, web-2 (2): succeeded\n');
    expect(text).toMatch(
      /^away: failed: AGENT_NOT_CONNECTED \(1001\): .* \[command_id [\w-]{36}\]$/m,
    );
    expect(steps[0]).toBe('1 of 3 (33 %)');
    const rows = commandRows(server.dataDir, 'system.exec');
    expect(rows.map((row) => row.server_id).toSorted()).toEqual(['away', 'web-1', 'web-2']);
  });

  it('cuts long results, and says so', async () => {
    const { structuredContent, content } = await client.callTool(
      'run_on_agents',
      // Of each server another, since the shells have ids of their own.
      exec('yes $$ | head -n 40000'),
    );
    expect(structuredContent).toMatchObject({
      groups: [
        { server_ids: ['web-1'], truncated: true },
        { server_ids: ['web-2'], truncated: true },
      ],
    });
    expect(structuredContent).not.toHaveProperty('groups.0.result');
    expect(content[0]?.text).toMatch(
      /\[Cut\. The rest: get_command \{"command_id":"[\w-]{36}","result_offset":\d+\}\]/,
    );
    expect(content[0]?.text?.length).toBeLessThan(51_000);
  });

  it('is an error if no server succeeded', async () => {
    const args = { server_ids: ['away'], method: 'agent.ping' };
    expect(await client.callTool('run_on_agents', args)).toMatchObject({
      isError: true,
      structuredContent: { counts: { asked: 1, succeeded: 0, failed: 1 } },
    });
  });

  it('refuses a choice of servers that is not one', async () => {
    expect(await client.callTool('run_on_agents', { method: 'agent.ping' })).toMatchObject({
      isError: true,
      structuredContent: { error: { name: 'INVALID_PARAMS' } },
    });
  });

  it('leaves no process on any server when the client cancels', async () => {
    const marks = join(started.directory(), 'pids');
    const cancel = new AbortController();
    const call = client.callTool(
      'run_on_agents',
      exec(`echo $$ >> ${marks}; sleep 300`),
      cancel.signal,
    );
    call.catch(() => undefined);
    const pids = await eventually(() => {
      const lines = existsSync(marks) ? readFileSync(marks, 'utf8').trim().split('\n') : [];
      expect(lines).toHaveLength(2);
      return lines.map(Number);
    });
    expect(pids.map(isAlive)).toEqual([true, true]);
    cancel.abort();
    await expect(call).rejects.toThrow();
    await eventually(() => expect(pids.map(isAlive)).toEqual([false, false]));
  });
});

const labels = { fleet: 'simulated' };
const codeSchema = z.object({ registration_code: z.string() });

/** Joins agents that all answer every call so; without an answer they are silent. */
async function simulate(prefix: string, count: number, answer?: object): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, n) => `${prefix}-${String(n).padStart(3, '0')}`);
  for (const server_id of ids) {
    const installed = await client.callTool('install_agent', { server_id, labels });
    const { registration_code: code } = codeSchema.parse(installed.structuredContent);
    const agent = await FakeAgent.dial(socketUrl(server));
    await agent.hello({ type: 'register', code, version: '1.0.0', protocol: 1 });
    const serve = async (): Promise<void> => {
      const { id } = await agent.request();
      if (answer !== undefined) agent.send({ jsonrpc: '2.0', id, ...answer });
      await serve();
    };
    void serve();
  }
  return ids;
}

describe('run_on_agents with 200 agents, 10 of them silent and 10 failing', () => {
  it('shows each answer once with its servers, and each failure, and waits no longer than told', async () => {
    const output = (stdout: string) => ({ stdout, stderr: '', exit_code: 0 });
    const linux = await simulate('linux', 170, { result: output('Linux\n') });
    const bsd = await simulate('bsd', 10, { result: output('FreeBSD\n') });
    const failing = await simulate('failing', 10, { error: { code: 1207, message: 'no shell' } });
    const silent = await simulate('silent', 10);
    // Nothing else ends the wait for those that are silent.
    const params = { command: 'uname', timeout: 1 };
    const { structuredContent, isError } = await client.callTool('run_on_agents', {
      labels,
      method: 'system.exec',
      params,
      timeout_seconds: 1,
    });
    expect(isError ?? false).toBe(false);
    expect(structuredContent).toMatchObject({
      groups: [
        { server_ids: linux, status: 'succeeded', result: output('Linux\n') },
        { server_ids: bsd, status: 'succeeded', result: output('FreeBSD\n') },
      ],
      failures: [
        ...failing.map((server_id) => ({
          server_id,
          status: 'failed',
          error: { name: 'EXEC_FAILED', message: 'no shell' },
        })),
        ...silent.map((server_id) => ({
          server_id,
          status: 'timed_out',
          error: { name: 'COMMAND_TIMED_OUT' },
        })),
      ],
      counts: { asked: 200, succeeded: 180, failed: 20 },
    });
    await inFlight(server, 0);
    const rows = await settledRows(server.dataDir, 'system.exec');
    const ended = rows.filter(({ server_id }) => silent.includes(server_id));
    expect(ended.map(({ status }) => status)).toEqual(Array(10).fill('timed_out'));
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
