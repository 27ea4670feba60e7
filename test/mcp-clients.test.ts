import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { CLIENT_KINDS } from './support/mcp-client.ts';
import { Started } from './support/processes.ts';
import { connect, startAgent, startServer, type TomoServer } from './support/tomo.ts';

const TOOLS = [
  'list_agents',
  'get_agent_status',
  'list_agent_commands',
  'send_agent_command',
  'get_command',
  'cancel_command',
  'run_on_agents',
  'get_command_history',
  'get_agent_events',
  'search_logs',
  'get_agent_metrics',
  'install_agent',
  'configure_agents',
  'rotate_agent_token',
  'revoke_agent',
  'uninstall_agent',
];

const started = new Started();
let server: TomoServer;

beforeAll(async () => {
  server = await startServer(started);
  const client = await connect(started, 'v2-auto', server.http);
  await startAgent(started, server, client, 'web-1');
});

afterAll(() => started[Symbol.asyncDispose]());

const CASES = CLIENT_KINDS.flatMap((kind) =>
  (['http', 'stdio'] as const).map((transport) => ({ kind, transport })),
);

describe.each(CASES)('$kind over $transport', ({ kind, transport }) => {
  it('lists the tools in their fixed order', async () => {
    const client = await connect(started, kind, server[transport]);
    expect((await client.listTools()).map((tool) => tool.name)).toEqual(TOOLS);
  });

  it('runs a command on the server and gets its result as text and as data', async () => {
    const client = await connect(started, kind, server[transport]);
    const { content, structuredContent, isError } = await client.callTool('send_agent_command', {
      server_id: 'web-1',
      method: 'system.exec',
      params: { command: 'echo $((6 * 7)); echo oops >&2; exit 3' },
    });
    expect(isError ?? false).toBe(false);
    expect(structuredContent).toMatchObject({
      status: 'succeeded',
      result: { stdout: '42\n', stderr: 'oops\n', exit_code: 3 },
    });
    expect(JSON.parse(content[0]?.text ?? '')).toMatchObject({ stdout: '42\n', exit_code: 3 });
  });

  it('every read tool answers', async () => {
    const client = await connect(started, kind, server[transport]);
    const listed = await client.callTool('list_agents', {});
    expect(listed.structuredContent).toMatchObject({
      agents: [{ server_id: 'web-1', status: 'connected' }],
    });
    const status = await client.callTool('get_agent_status', { server_id: 'web-1' });
    expect(status.structuredContent).toMatchObject({
      server_id: 'web-1',
      status: 'connected',
      latency_ms: expect.any(Number),
    });
    const commands = await client.callTool('list_agent_commands', { family: 'agent' });
    expect(commands.structuredContent).toMatchObject({
      commands: expect.arrayContaining([expect.objectContaining({ method: 'agent.ping' })]),
    });
  });

  it('shows metrics over time as text, as data and as a picture', async () => {
    const client = await connect(started, kind, server[transport]);
    // The agent's first report comes a moment after it has connected; the first chart loads its library.
    const { content, structuredContent } = await vi.waitFor(async () => {
      const args = { server_id: 'web-1', metrics: ['cpu', 'memory'], format: 'chart' };
      const answer = await client.callTool('get_agent_metrics', args);
      expect(answer.structuredContent).not.toHaveProperty('note');
      return answer;
    }, 50_000);
    expect(structuredContent).toMatchObject({
      server_id: 'web-1',
      series: [
        { metric: 'cpu', unit: 'percent', last: expect.any(Number) },
        { metric: 'memory', unit: 'bytes', last: expect.any(Number) },
      ],
    });
    expect(content[0]?.text).toContain('memory (bytes): min ');
    expect(content[1]).toMatchObject({ type: 'image', mimeType: 'image/png' });
  });

  it('gives an error its code and its next step', async () => {
    const client = await connect(started, kind, server[transport]);
    const result = await client.callTool('get_agent_status', { server_id: 'nowhere' });
    expect(result.isError).toBe(true);
    expect(result.structuredContent).toMatchObject({
      error: {
        code: 1000,
        name: 'UNKNOWN_SERVER',
        message: expect.stringContaining('install_agent'),
      },
    });
  });
});

// The inspector over stdio cannot cancel: it ends, and what it began goes on.
const CANCELLING = CASES.filter(
  ({ kind, transport }) => kind !== 'inspector' || transport === 'http',
);

describe.each(CANCELLING)('$kind over $transport', ({ kind, transport }) => {
  it('a cancelled call is stopped on the server', async () => {
    const client = await connect(started, kind, server[transport]);
    const mark = join(started.directory(), 'pid');
    const cancel = new AbortController();
    const call = client.callTool(
      'send_agent_command',
      {
        server_id: 'web-1',
        method: 'system.exec',
        params: { command: `echo $$ > ${mark}; sleep 300`, timeout: 300 },
      },
      cancel.signal,
    );
    call.catch(() => undefined);
    await vi.waitUntil(() => existsSync(mark) && readFileSync(mark, 'utf8') !== '', 20_000);
    const pid = Number(readFileSync(mark, 'utf8'));
    expect(isAlive(pid)).toBe(true);
    cancel.abort();
    await expect(call).rejects.toThrow();
    await vi.waitUntil(() => !isAlive(pid), 20_000);
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
