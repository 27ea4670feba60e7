import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { connect as connectTcp } from 'node:net';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { HTTP_HEADERS_TIMEOUT_MS } from '../protocol/limits.ts';
import { freePort, Started } from './support/processes.ts';
import { connect, startServer, TEST_TOKEN } from './support/tomo.ts';

const run = promisify(execFile);
const started = new Started();

afterAll(() => started[Symbol.asyncDispose]());

describe('the quickstart with TLS', () => {
  it('prints lines that trust its certificate', async () => {
    const flags = ['--data-dir', started.directory(), '--port', String(await freePort())];
    const quickstart = started.tomo(['quickstart', '--tls-self-signed', ...flags]);
    await quickstart.line('Ctrl-C');
    const text = quickstart.output();
    expect(text).toMatch(/Claude Code +NODE_EXTRA_CA_CERTS="\S+" claude mcp add .*https:/);
    const line = /MCP inspector +(.+)/.exec(text)?.[1] ?? '';
    const { stdout } = await run('sh', ['-c', line]);
    const { tools } = z.object({ tools: z.array(z.unknown()) }).parse(JSON.parse(stdout));
    expect(tools.length).toBeGreaterThan(0);
  });
});

describe('a public URL', () => {
  it('names a host and a path under which MCP is served, beside those of this machine', async () => {
    const args = ['--public-url', 'https://tomo.example/tools'];
    const server = await startServer(started, { args });
    const status = async (path: string, host: string): Promise<number | undefined> => {
      const headers = { Host: host, Authorization: `Bearer ${TEST_TOKEN}` };
      const request = get(`${server.url}${path}`, { headers });
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      response.destroy();
      return response.statusCode;
    };
    for (const path of ['/tools/mcp', '/mcp']) {
      expect(await status(path, 'tomo.example')).toBe(400);
      expect(await status(path, '127.0.0.1')).toBe(400);
      expect(await status(path, 'other.example')).toBe(403);
    }
    expect(await status('/tools/metrics', 'tomo.example')).toBe(200);
    const client = await connect(started, 'v2-auto', server.stdio);
    const { structuredContent } = await client.callTool('install_agent', { server_id: 'web-1' });
    expect(JSON.stringify(structuredContent)).toContain('wss://tomo.example/tools/ws/agent');
  });
});

describe('a server with other rules of transport', () => {
  it.each([
    ['trusted proxies', ['--trusted-proxies', '10.0.0.0/8']],
    ['TLS', ['--tls-self-signed']],
  ])('does not stand by: %s', async (_, args) => {
    const server = await startServer(started);
    const other = started.tomo(['serve', ...server.flags, ...args], { TOMO_TOKEN: TEST_TOKEN });
    expect(await other.ended).toBe(1);
    expect(other.log()).toContain('with other flags');
  });
});

describe('wrong flags of transport', () => {
  it.each([
    [
      'two certificates',
      ['--tls-self-signed', '--tls-cert', 'a', '--tls-key', 'b'],
      '--tls-self-signed',
    ],
    ['a certificate without a name', ['--tls-cert', '', '--tls-key', 'b'], '--tls-cert'],
    ['a proxy that is no address', ['--trusted-proxies', 'proxy.example'], '--trusted-proxies'],
    ['a network that is none', ['--trusted-proxies', '127.0.0.1,10.0.0.0/33'], '10.0.0.0/8'],
    ['no proxy at all', ['--trusted-proxies', ''], '--trusted-proxies'],
    ['a public URL with a query', ['--public-url', 'https://tomo.example/?a=b'], '--public-url'],
    ['a public URL with a password', ['--public-url', 'https://a:b@tomo.example'], '--public-url'],
    ['other machines without TLS', ['--host', '192.0.2.1'], '--tls-self-signed'],
  ])('%s: exit 2, one line', async (_, args, named) => {
    const program = started.tomo(['serve', ...args]);
    expect(await program.ended).toBe(2);
    expect(program.log()).toContain(named);
    expect(program.log().split('\n')).toHaveLength(1);
  });

  it('TOMO_TRUSTED_PROXIES is named where it was set', async () => {
    const program = started.tomo(['serve'], { TOMO_TRUSTED_PROXIES: 'x' });
    expect(await program.ended).toBe(2);
    expect(program.log()).toContain('TOMO_TRUSTED_PROXIES');
  });
});

describe('a running server', () => {
  it('cuts a connection that never says anything', async () => {
    const server = await startServer(started);
    const socket = connectTcp(server.port, '127.0.0.1');
    socket.resume();
    await once(socket, 'close', { signal: AbortSignal.timeout(3 * HTTP_HEADERS_TIMEOUT_MS) });
  });
});
