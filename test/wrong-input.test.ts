import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage, request as post } from 'node:http';
import { connect as connectTcp, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestClient } from './support/mcp-client.ts';
import { Started } from './support/processes.ts';
import { connect, startAgent, startServer, TEST_TOKEN, type TomoServer } from './support/tomo.ts';

const started = new Started();
let server: TomoServer;
let client: TestClient;

beforeAll(async () => {
  server = await startServer(started);
  client = await connect(started, 'v2-auto', server.http);
  await startAgent(started, server, client, 'web-1');
});

afterAll(() => started[Symbol.asyncDispose]());

async function errorOf(tool: string, args: object): Promise<unknown> {
  const { structuredContent, isError } = await client.callTool(tool, args);
  expect(isError).toBe(true);
  return structuredContent?.['error'];
}

const send = (method: string, params: object = {}, server_id = 'web-1') =>
  errorOf('send_agent_command', { server_id, method, params });

describe('wrong arguments of a tool', () => {
  it.each([
    ['an unknown server', 1000, () => send('agent.ping', {}, 'nowhere')],
    ['an unknown method', -32601, () => send('docker.container.list')],
    ['params that do not fit', -32602, () => send('system.exec', { command: 7 })],
    ['an unknown param', -32602, () => send('system.exec', { command: 'true', shell: 'zsh' })],
    ['a missing argument', -32602, () => errorOf('send_agent_command', { server_id: 'web-1' })],
    ['an unknown argument', -32602, () => errorOf('list_agents', { state: 'connected' })],
    [
      'a server id that cannot be one',
      -32602,
      () => errorOf('install_agent', { server_id: 'Web 1' }),
    ],
    [
      'an install over a connected agent',
      1007,
      () => errorOf('install_agent', { server_id: 'web-1' }),
    ],
    ['an unknown family', -32602, () => errorOf('list_agent_commands', { family: 'kubernetes' })],
    [
      'settings out of range',
      -32602,
      () => errorOf('configure_agents', { settings: { metrics_interval: 1 } }),
    ],
    ['no settings', -32602, () => errorOf('configure_agents', { settings: {} })],
    [
      'settings for an unknown server',
      1000,
      () =>
        errorOf('configure_agents', { server_ids: ['nope'], settings: { metrics_interval: 9 } }),
    ],
    ['revoking an unknown server', 1000, () => errorOf('revoke_agent', { server_id: 'nope' })],
  ])('%s: error %i', async (_, code, cause) => {
    expect(await cause()).toMatchObject({ code });
  });

  it('a command for an agent that never connected says how to connect it', async () => {
    await client.callTool('install_agent', { server_id: 'never' });
    expect(await send('agent.ping', {}, 'never')).toMatchObject({
      code: 1001,
      message: expect.stringContaining('deploy_command'),
    });
  });

  it('a command for an agent that went says when it was seen', async () => {
    const agent = await startAgent(started, server, client, 'gone');
    await agent.stop('SIGKILL');
    expect(await send('agent.ping', {}, 'gone')).toMatchObject({
      code: expect.toSatisfy((code) => code === 1001 || code === 1002),
      message: expect.stringMatching(/last seen|closed before/),
    });
  });
});

describe('agents that may not come in', () => {
  const agentWith = (code: string) =>
    started.agent({
      SERVER_URL: `${server.url.replace('http', 'ws')}/ws/agent`,
      REGISTER_CODE: code,
      DATA_DIR: join(started.directory(), 'agent'),
    });

  it('an unknown code is named in the agent’s log with the next step', async () => {
    expect(await agentWith('0000-0000-0000-0000').line('CODE_UNKNOWN')).toContain('install_agent');
  });

  it('an expired code too', async () => {
    const { structuredContent } = await client.callTool('install_agent', { server_id: 'late' });
    const { default: Database } = await import('better-sqlite3');
    const db = new Database(join(server.dataDir, 'tomo.db'));
    db.prepare('UPDATE agent_registration_codes SET expires_at = 1 WHERE used = 0').run();
    db.close();
    const agent = agentWith(String(structuredContent?.['registration_code']));
    expect(await agent.line('CODE_EXPIRED')).toContain('install_agent');
  });

  it('the agent program without an address ends with 2 and names the variable', async () => {
    const agent = started.tomo(['agent'], { DATA_DIR: join(started.directory(), 'agent') });
    expect(await agent.ended).toBe(2);
    expect(agent.log()).toContain('SERVER_URL');
  });
});

describe('wrong command lines', () => {
  const dir = (): string[] => ['--data-dir', started.directory()];

  it.each([
    ['an unknown flag', ['serve', '--prot', '1'], '--port'],
    ['an unknown command', ['srve'], 'serve'],
    ['a port that is none', ['serve', '--port', 'http'], '--port'],
    ['a port out of range', ['serve', '--port', '70000'], '--port'],
    ['a log level that is none', ['serve', '--log-level', 'loud'], '--log-level'],
    ['a public URL that is none', ['serve', '--public-url', 'tomo.example'], '--public-url'],
    ['a certificate without a key', ['serve', '--tls-cert', '/nowhere'], 'tomo: --tls-cert: '],
    ['a key without a certificate', ['serve', '--tls-key', '/nowhere'], 'tomo: --tls-key: '],
    ['other machines without TLS', ['serve', '--host', '0.0.0.0'], '--insecure-http'],
    ['a directory without a name', ['serve', '--data-dir', ''], '--data-dir'],
  ])('%s: exit 2, one line', async (_, args, named) => {
    const program = started.tomo(args);
    expect(await program.ended).toBe(2);
    expect(program.log()).toContain(named);
    expect(program.log().split('\n')).toHaveLength(1);
  });

  it.each([
    ['TOMO_PORT', 'x', '65535'],
    ['TOMO_READ_ONLY', 'maybe', 'true or false'],
    ['TOMO_HOST', '0.0.0.0', '--insecure-http'],
    ['TOMO_TLS_KEY', '/nowhere', 'give both'],
    ['TOMO_TOKEN', 'with spaces in it, and more than 32 characters', 'without spaces'],
    ['TOMO_TOKEN', 'short', '32 characters'],
  ])('%s=%s: exit 2, naming the variable and what it takes', async (name, value, allowed) => {
    const program = started.tomo(['serve'], { [name]: value });
    expect(await program.ended).toBe(2);
    expect(program.log()).toContain(name);
    expect(program.log()).toContain(allowed);
  });

  it('a port that a stranger holds: exit 1, one line with the way out', async () => {
    const stranger = createServer().listen(0, '127.0.0.1');
    await once(stranger, 'listening');
    started.defer(() => void stranger.close());
    const address = stranger.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const program = started.tomo(['serve', ...dir(), '--port', String(port)]);
    expect(await program.ended).toBe(1);
    expect(program.log()).toMatch(/taken.*--port/);
    expect(program.log().split('\n')).toHaveLength(1);
  });

  it('a data directory that cannot be written: exit 1, one line with the way out', async () => {
    const file = join(started.directory(), 'file');
    writeFileSync(file, '');
    const program = started.tomo(['serve', '--data-dir', join(file, 'tomo')]);
    expect(await program.ended).toBe(1);
    expect(program.log()).toMatch(/cannot be written.*--data-dir/);
  });

  it('a data directory of somebody else: exit 1, one line with the way out', async () => {
    const dataDir = started.directory();
    // What a missing permission is for others, a directory in the file's place is for root.
    mkdirSync(join(dataDir, 'owner.lock'));
    const program = started.tomo(['serve', '--data-dir', dataDir], { TOMO_TOKEN: TEST_TOKEN });
    expect(await program.ended).toBe(1);
    expect(program.log()).toMatch(/not writable.*--data-dir/);
    expect(program.log().split('\n')).toHaveLength(1);
  });

  it('a data directory that is not there yet is made, with the token from the environment too', async () => {
    const dataDir = join(started.directory(), 'deep', 'er');
    const { program } = await startServer(started, { dataDir });
    await program.stop();
    expect(program.child.exitCode).toBe(0);
  });

  it('a database of a newer version: exit 1, one line with the way out', async () => {
    const dataDir = started.directory();
    const first = await startServer(started, { dataDir });
    await first.program.stop();
    const { default: Database } = await import('better-sqlite3');
    const db = new Database(join(dataDir, 'tomo.db'));
    db.prepare('INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)').run(
      'from-the-future',
      9_999_999_999_999,
    );
    db.close();
    const program = started.tomo(['serve', '--data-dir', dataDir, '--port', String(first.port)]);
    expect(await program.ended).toBe(1);
    expect(program.log()).toMatch(/newer/);
    expect(program.log().split('\n')).toHaveLength(1);
  });

  it('a certificate that is none: exit 1', async () => {
    const file = join(started.directory(), 'cert.pem');
    writeFileSync(file, 'not a certificate');
    const program = started.tomo(['serve', ...dir(), '--tls-cert', file, '--tls-key', file]);
    expect(await program.ended).toBe(1);
    expect(program.log()).toContain('--tls-cert');
  });

  it('a certificate that is not there: exit 1, one plain line with the way out', async () => {
    const args = ['--tls-cert', 'none.pem', '--tls-key', 'none.pem'];
    const program = started.tomo(['serve', ...dir(), ...args]);
    expect(await program.ended).toBe(1);
    expect(program.log()).toMatch(/there is no file .*none\.pem; .*--tls-self-signed/);
    expect(program.log()).not.toContain('ENOENT');
    expect(program.log().split('\n')).toHaveLength(1);
  });
});

describe('MCP over HTTP', () => {
  const initialize = (headers: Record<string, string>) =>
    fetch(`${server.url}/mcp`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Accept: 'application/json', ...headers },
      body: '{}',
    });

  it('without the token: 401, and where to get it', async () => {
    for (const headers of [{}, { Authorization: 'Bearer wrong' }, { Authorization: TEST_TOKEN }]) {
      const response = await initialize(headers as Record<string, string>);
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe('Bearer');
      expect(await response.text()).toContain('tomo token add');
    }
  });

  it('from a page of another site: 403, even with the token', async () => {
    const authorization = { Authorization: `Bearer ${TEST_TOKEN}` };
    const response = await initialize({ ...authorization, Origin: 'https://evil.example' });
    expect(response.status).toBe(403);
  });

  it('under a name that is not this server’s: 403, even with the token', async () => {
    const headers = { Host: 'rebound.example', Authorization: `Bearer ${TEST_TOKEN}` };
    const request = get(`${server.url}/mcp`, { headers });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    expect(response.statusCode).toBe(403);
  });

  it('a body over the limit: 413, before it is sent', async () => {
    const announced = post(`${server.url}/mcp`, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        'Content-Length': 5 * 1024 * 1024,
        Authorization: `Bearer ${TEST_TOKEN}`,
      },
    });
    announced.flushHeaders();
    const [response] = (await once(announced, 'response')) as [IncomingMessage];
    announced.destroy();
    expect(response.statusCode).toBe(413);
  });

  it('an unknown path says what there is; health answers without a token; numbers do not', async () => {
    const unknown = await fetch(`${server.url}/`);
    expect(unknown.status).toBe(404);
    expect(await unknown.text()).toContain('/mcp');
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
    expect((await fetch(`${server.url}/metrics`)).status).toBe(401);
  });

  it('an upgrade that nobody offers is ignored where the path is known', async () => {
    const headers = { Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c' };
    const request = get(`${server.url}/healthz`, { headers });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    expect(response.statusCode).toBe(200);
  });

  it('an upgrade of another path: 404, and the connection closed', async () => {
    const socket = connectTcp(server.port, '127.0.0.1');
    const closed = once(socket, 'close');
    socket.write(
      'GET /ws/other HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toContain('404');
    await closed;
  });

  it('a session that has ended: 404, so that the client starts a new one', async () => {
    const response = await fetch(`${server.url}/mcp`, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        Accept: 'application/json, text/event-stream',
        Authorization: `Bearer ${TEST_TOKEN}`,
        'Mcp-Session-Id': 'long-gone',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} }),
    });
    expect(response.status).toBe(404);
  });
});

describe('tomo token', () => {
  it('prints the token of the data directory, the same every time, in a file for the user alone', async () => {
    const dataDir = join(started.directory(), 'data');
    mkdirSync(dataDir);
    chmodSync(dataDir, 0o700);
    const [one, two] = [
      started.tomo(['token', '--data-dir', dataDir]),
      started.tomo(['token', '--data-dir', dataDir]),
    ];
    await Promise.all([one.ended, two.ended]);
    expect(one.output()).toMatch(/^[\w-]{43}\n$/);
    expect(two.output()).toBe(one.output());
  });
});
