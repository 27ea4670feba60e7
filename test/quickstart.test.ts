import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { ALL_TOOLS } from '../src/mcp/all-tools.ts';
import { freePort, type Program, Started } from './support/processes.ts';
import { connect } from './support/tomo.ts';

const run = promisify(execFile);
const started = new Started();
let quickstart: Program;

beforeAll(async () => {
  const port = String(await freePort());
  const dataDir = started.directory();
  quickstart = started.tomo(['quickstart', '--data-dir', dataDir, '--port', port]);
  await quickstart.line('Ctrl-C');
});

afterAll(() => started[Symbol.asyncDispose]());

const INFO = { server_id: 'local', method: 'system.info' };

describe('the lines that the quickstart prints', () => {
  it('the inspector line lists the tools', async () => {
    const line = /MCP inspector +(.+)/.exec(quickstart.output())?.[1] ?? '';
    const { stdout } = await run('sh', ['-c', line]);
    expect(z.object({ tools: z.array(z.unknown()) }).parse(JSON.parse(stdout)).tools).toHaveLength(
      ALL_TOOLS.length,
    );
  });

  it('the Claude Desktop snippet serves MCP over stdio beside it', async () => {
    const json = /\{\n {2}"mcpServers"[\s\S]+?\n\}/.exec(quickstart.output())?.[0] ?? '';
    const { tomo } = z
      .object({
        mcpServers: z.object({
          tomo: z.object({ command: z.string(), args: z.array(z.string()) }),
        }),
      })
      .parse(JSON.parse(json)).mcpServers;
    const client = await connect(started, 'v1', tomo);
    const { structuredContent } = await client.callTool('send_agent_command', INFO);
    expect(structuredContent).toMatchObject({
      status: 'succeeded',
      result: { os: expect.any(String), access: 'admin' },
    });
  });

  it('the Claude Code line names an address and a header that work', async () => {
    const line =
      /Claude Code +claude mcp add --transport http tomo (\S+) --header "Authorization: Bearer (\S+)"/;
    const [, url = '', token = ''] = line.exec(quickstart.output()) ?? [];
    const client = await connect(started, 'v2-auto', { url, token });
    const { structuredContent } = await client.callTool('send_agent_command', INFO);
    expect(structuredContent).toMatchObject({ status: 'succeeded' });
  });
});

describe('the agent of this machine', () => {
  it('comes back when it is killed, without Tomo’s own secret, and ends with its parent', async () => {
    const port = String(await freePort());
    const dataDir = started.directory();
    const token = 'a-secret-token-of-more-than-32-characters';
    const server = started.tomo(['serve', '--local-agent', '--data-dir', dataDir, '--port', port], {
      TOMO_TOKEN: token,
    });
    const first = await agentPid(server);
    process.kill(first, 'SIGKILL');
    const second = await agentPid(server, first);
    const client = await connect(started, 'v2-auto', {
      url: `http://127.0.0.1:${port}/mcp`,
      token,
    });
    const env = { server_id: 'local', method: 'system.exec', params: { command: 'env' } };
    await vi.waitFor(async () => {
      const { structuredContent } = await client.callTool('send_agent_command', env);
      expect(structuredContent).toMatchObject({ status: 'succeeded' });
      expect(JSON.stringify(structuredContent)).not.toMatch(/TOMO_TOKEN|REGISTER_CODE|MALLOC/);
    }, 20_000);
    if (process.platform === 'linux') expect(initialEnvironment(server)).toContain('MALLOC_');
    await server.stop('SIGKILL');
    await vi.waitUntil(() => !isAlive(second), 20_000);
  });

  it('stays away when it was revoked, until it is installed again', async () => {
    const port = String(await freePort());
    const token = 'a-secret-token-of-more-than-32-characters';
    const flags = ['--data-dir', started.directory(), '--port', port];
    const server = started.tomo(['serve', '--local-agent', ...flags], { TOMO_TOKEN: token });
    const first = await agentPid(server);
    const target = { url: `http://127.0.0.1:${port}/mcp`, token };
    const client = await connect(started, 'v2-auto', target);
    await client.callTool('revoke_agent', { server_id: 'local' });
    await server.line('was revoked');
    expect((await client.callTool('send_agent_command', INFO)).structuredContent).toMatchObject({
      error: { name: 'AGENT_REVOKED' },
    });
    await client.callTool('install_agent', { server_id: 'local', access: 'read' });
    await agentPid(server, first);
    await vi.waitFor(async () => {
      const { structuredContent } = await client.callTool('send_agent_command', INFO);
      expect(structuredContent).toMatchObject({ result: { access: 'read' } });
    }, 20_000);
  });

  it('is there with a DOCKER_HOST that it cannot use, and says so', async () => {
    const port = String(await freePort());
    const token = 'a-secret-token-of-more-than-32-characters';
    const flags = ['--data-dir', started.directory(), '--port', port];
    const server = started.tomo(['serve', '--local-agent', ...flags], {
      TOMO_TOKEN: token,
      DOCKER_HOST: 'ssh://somewhere',
    });
    await agentPid(server);
    const target = { url: `http://127.0.0.1:${port}/mcp`, token };
    const client = await connect(started, 'v2-auto', target);
    expect((await client.callTool('send_agent_command', INFO)).structuredContent).toMatchObject({
      result: { docker: { error: { name: 'DOCKER_UNAVAILABLE' } } },
    });
  });

  it('is there under --read-only too, which holds everybody to read methods', async () => {
    const port = String(await freePort());
    const token = 'a-secret-token-of-more-than-32-characters';
    const flags = ['--data-dir', started.directory(), '--port', port];
    const server = started.tomo(['serve', '--local-agent', '--read-only', ...flags], {
      TOMO_TOKEN: token,
    });
    await agentPid(server);
    const target = { url: `http://127.0.0.1:${port}/mcp`, token };
    const client = await connect(started, 'v2-auto', target);
    expect((await client.callTool('send_agent_command', INFO)).structuredContent).toMatchObject({
      status: 'succeeded',
    });
    const exec = { server_id: 'local', method: 'system.exec', params: { command: 'true' } };
    expect((await client.callTool('send_agent_command', exec)).structuredContent).toMatchObject({
      error: { name: 'ACCESS_DENIED' },
    });
    expect(
      (await client.callTool('install_agent', { server_id: 'x' })).structuredContent,
    ).toMatchObject({ error: { name: 'ACCESS_DENIED' } });
  });
});

/** The process id in the log line of an agent that connected, other than `before`. */
async function agentPid(server: Program, before?: number): Promise<number> {
  return await vi.waitFor(() => {
    const pids = server
      .log()
      .split('\n')
      .filter((line) => line.includes('"msg":"connected"'))
      .map((line) => z.object({ pid: z.number() }).parse(JSON.parse(line)).pid)
      .filter((pid) => pid !== before);
    const last = pids.at(-1);
    if (last === undefined) throw new Error(`no agent connected:\n${server.log()}`);
    return last;
  }, 30_000);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** What the C library of a process read when it started. */
function initialEnvironment({ pid }: Program): string {
  return readFileSync(`/proc/${pid}/environ`, 'utf8');
}
