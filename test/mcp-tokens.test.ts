import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { rawSession } from './support/mcp-session.ts';
import { Started } from './support/processes.ts';
import {
  addToken,
  connect,
  startAgent,
  startServer,
  TEST_TOKEN,
  type TomoServer,
} from './support/tomo.ts';

const KINDS = ['v2-auto', 'v2-legacy', 'v1'] as const;
const historySchema = z.object({ commands: z.array(z.object({ command_id: z.string() })) });
const DENIED = { error: { name: 'ACCESS_DENIED' } };
const EXEC = { server_id: 'web-1', method: 'system.exec', params: { command: 'true' } };

const started = new Started();
let server: TomoServer;

beforeAll(async () => {
  server = await startServer(started, { args: ['--trusted-proxies', '127.0.0.1'] });
  const client = await connect(started, 'v2-auto', server.http);
  await startAgent(started, server, client, 'web-1');
});

afterAll(() => started[Symbol.asyncDispose]());

let count = 0;

/** A named token that nobody has used. */
async function newToken(access: string): Promise<{ name: string; token: string }> {
  count += 1;
  const name = `${access}-${count}`;
  return { name, token: await addToken(started, server, name, access) };
}

async function remove(name: string, { dataDir } = server): Promise<void> {
  const program = started.tomo(['token', 'rm', name, '--data-dir', dataDir]);
  expect(await program.ended).toBe(0);
}

const clientWith = (kind: (typeof KINDS)[number], token: string, { url } = server) =>
  connect(started, kind, { url: `${url}/mcp`, token });

describe.each(KINDS)('a named token with %s', (kind) => {
  it('of access read sees everything and changes nothing', async () => {
    const { token } = await newToken('read');
    const client = await clientWith(kind, token);
    const call = async (tool: string, args: object) =>
      (await client.callTool(tool, args)).structuredContent;
    expect(await call('list_agents', {})).toMatchObject({ agents: [{ server_id: 'web-1' }] });
    const ping = { server_id: 'web-1', method: 'agent.ping' };
    expect(await call('send_agent_command', ping)).toMatchObject({ status: 'succeeded' });
    expect(await call('send_agent_command', EXEC)).toMatchObject(DENIED);
    const stop = {
      server_id: 'web-1',
      method: 'docker.containers.stop',
      params: { container: 'x' },
    };
    expect(await call('send_agent_command', stop)).toMatchObject(DENIED);
    expect(await call('install_agent', { server_id: 'web-2' })).toMatchObject(DENIED);
    expect(await call('revoke_agent', { server_id: 'web-1' })).toMatchObject(DENIED);
    expect(await call('uninstall_agent', { server_id: 'web-1' })).toMatchObject(DENIED);
    expect(await call('rotate_agent_token', { server_id: 'web-1' })).toMatchObject(DENIED);
    const settings = { settings: { metrics_interval: 60 } };
    expect(await call('configure_agents', settings)).toMatchObject(DENIED);
    expect(await call('list_agents', {})).toMatchObject({ agents: [{ status: 'connected' }] });
  });

  it('of access admin runs commands, and the history names it and its address', async () => {
    const { name, token } = await newToken('admin');
    const client = await clientWith(kind, token);
    const { structuredContent } = await client.callTool('send_agent_command', EXEC);
    expect(structuredContent).toMatchObject({ status: 'succeeded' });
    expect(await auditOf(`token:${name}`)).toEqual(['127.0.0.1']);
  });

  it('that is removed gets no further answer, and its command is stopped', async () => {
    const { name, token } = await newToken('admin');
    const client = await clientWith(kind, token);
    const mark = join(started.directory(), 'pid');
    const command = `echo $$ > ${mark}; sleep 300`;
    const call = client.callTool('send_agent_command', { ...EXEC, params: { command } });
    const outcome = call.then(
      () => 'answered',
      () => 'cut',
    );
    await vi.waitUntil(() => existsSync(mark) && readFileSync(mark, 'utf8') !== '', 20_000);
    await remove(name);
    await expect(client.listTools()).rejects.toThrow();
    const pid = Number(readFileSync(mark, 'utf8'));
    await vi.waitUntil(() => !isAlive(pid), 20_000);
    await client.close();
    expect(await outcome).toBe('cut');
  });
});

describe('a command that goes on when its call was answered', () => {
  const begun = async (token: string, on = server) => {
    const client = await clientWith('v2-auto', token, on);
    const mark = join(started.directory(), 'pid');
    const command = `echo $$ > ${mark}; exec sleep 300`;
    const call = { ...EXEC, params: { command }, wait_seconds: 0 };
    const { structuredContent } = await client.callTool('send_agent_command', call);
    expect(structuredContent).toMatchObject({ status: 'running' });
    await vi.waitUntil(() => existsSync(mark) && readFileSync(mark, 'utf8') !== '', 20_000);
    await client.close();
    return Number(readFileSync(mark, 'utf8'));
  };

  it('is given up when its token is removed, also if one of that name is made anew', async () => {
    const { name, token } = await newToken('admin');
    const other = await begun((await newToken('admin')).token);
    const pid = await begun(token);
    await remove(name);
    const again = await begun(await addToken(started, server, name, 'admin'));
    await vi.waitUntil(() => !isAlive(pid), 20_000);
    expect([other, again].map(isAlive)).toEqual([true, true]);
    for (const left of [other, again]) process.kill(left);
  });

  it('goes on if Tomo was started anew since: it is shown by its actor, and can be stopped', async () => {
    const own = await startServer(started);
    const first = await connect(started, 'v2-auto', own.http);
    const agent = await startAgent(started, own, first, 'web-1');
    const pid = await begun(await addToken(started, own, 'ci', 'admin'), own);
    const before = agent.lineCount();
    await own.program.stop();
    const again = await startServer(started, { dataDir: own.dataDir, port: own.port });
    await agent.line('"connected"', before);
    await remove('ci', again);
    const client = await connect(started, 'v2-auto', again.http);
    const shown = await client.callTool('get_command_history', {
      actor: 'token:ci',
      status: 'detached',
    });
    const [command] = historySchema.parse(shown.structuredContent).commands;
    expect(isAlive(pid)).toBe(true);
    const stopped = await client.callTool('cancel_command', { command_id: command?.command_id });
    expect(stopped.structuredContent).toMatchObject({ status: 'cancelled' });
    await vi.waitUntil(() => !isAlive(pid), 20_000);
  });
});

describe('a session of an MCP client', () => {
  it('is unknown to every token but the one that opened it', async () => {
    const { token } = await newToken('admin');
    const session = await rawSession(server.url, token);
    const other = await session.send('tools/list', {}, { Authorization: `Bearer ${TEST_TOKEN}` });
    expect(other.status).toBe(404);
    expect((await session.send('tools/list', {})).status).toBe(200);
  });

  it('has ended when a token of the same name is made anew', async () => {
    const { name, token } = await newToken('admin');
    const session = await rawSession(server.url, token);
    await remove(name);
    const again = await addToken(started, server, name, 'admin');
    expect((await session.send('tools/list', {})).status).toBe(401);
    const renewed = await session.send('tools/list', {}, { Authorization: `Bearer ${again}` });
    expect(renewed.status).toBe(404);
  });

  it('has its stream cut when its token is removed', async () => {
    const { name, token } = await newToken('read');
    const session = await rawSession(server.url, token);
    const stream = session.stream().then((response) => response.text());
    await Promise.all([expect(stream).rejects.toThrow(), remove(name)]);
  });
});

describe('the address of a caller', () => {
  it('is the one that a trusted proxy names, for each request of a session', async () => {
    const { name, token } = await newToken('admin');
    const session = await rawSession(server.url, token);
    const call = { name: 'send_agent_command', arguments: EXEC };
    for (const address of ['203.0.113.5', '2001:db8::7']) {
      const forwarded = { 'X-Forwarded-For': `192.0.2.1, ${address}` };
      const response = await session.send('tools/call', call, forwarded);
      expect(await response.text()).toContain('succeeded');
    }
    expect(await auditOf(`token:${name}`)).toEqual(['203.0.113.5', '2001:db8::7']);
  });
});

describe('what else tokens are for', () => {
  it('every token shows the numbers, none does not', async () => {
    const { name, token } = await newToken('read');
    const numbers = (authorization: string) =>
      fetch(`${server.url}/metrics`, { headers: { Authorization: authorization } });
    expect((await numbers(`Bearer ${token}`)).status).toBe(200);
    expect((await numbers(`Bearer ${TEST_TOKEN}`)).status).toBe(200);
    await remove(name);
    expect((await numbers(`Bearer ${token}`)).status).toBe(401);
  });

  it('--read-only holds a token of access admin too', async () => {
    const strict = await startServer(started, { args: ['--read-only'] });
    const token = await addToken(started, strict, 'boss', 'admin');
    const client = await connect(started, 'v2-auto', { url: `${strict.url}/mcp`, token });
    const { structuredContent } = await client.callTool('install_agent', { server_id: 'web-2' });
    expect(structuredContent).toMatchObject(DENIED);
  });
});

describe('tomo token', () => {
  const run = async (...args: string[]) => {
    const program = started.tomo(['token', ...args, '--data-dir', server.dataDir]);
    const code = await program.ended;
    return { code, stdout: program.output(), log: program.log() };
  };

  it('add prints the token alone, and what to do with it beside', async () => {
    const { code, stdout, log } = await run('add', 'ci.prod', '--access', 'operate');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^[\w-]{43}\n$/);
    expect(log).toContain('token rm ci.prod');
    const twice = await run('add', 'ci.prod', '--access', 'read');
    expect(twice).toMatchObject({ code: 1, stdout: '' });
    expect(twice.log).toContain('ci.prod');
  });

  it('ls lists name, access and time, with tabs between, and never a token', async () => {
    const { token } = await newToken('read');
    const { code, stdout } = await run('ls');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ci\.prod\toperate\t\d{4}-.*Z$/m);
    expect(stdout).not.toContain(token);
  });

  it('rm of one that is not there: exit 1, naming it', async () => {
    const { code, log } = await run('rm', 'nobody');
    expect(code).toBe(1);
    expect(log).toMatch(/"nobody".*token ls/);
  });

  it.each([
    ['an unknown verb', ['ad', 'x'], '"ad"'],
    ['add without a name', ['add', '--access', 'read'], 'NAME'],
    ['add without an access', ['add', 'x'], '--access'],
    ['an access that is none', ['add', 'x', '--access', 'root'], 'operate'],
    ['a name that cannot be one', ['add', 'CI', '--access', 'read'], 'a-z'],
    ['a name that leaves the directory', ['rm', '../token'], 'a-z'],
    ['rm without a name', ['rm'], 'NAME'],
    ['ls with a name', ['ls', 'x'], 'ls'],
    ['a word too many', ['rm', 'x', 'y'], '"y"'],
    ['an access without a token', ['--access', 'read'], 'add'],
  ])('%s: exit 2, one line', async (_, args, named) => {
    const { code, stdout, log } = await run(...args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(log).toContain(named);
    expect(log.split('\n')).toHaveLength(1);
  });
});

/** The addresses that an actor's commands came from, oldest first. */
async function auditOf(actor: string): Promise<unknown[]> {
  const { default: Database } = await import('better-sqlite3');
  const db = new Database(join(server.dataDir, 'tomo.db'), { readonly: true });
  try {
    return await vi.waitFor(() => {
      const rows = db
        .prepare('SELECT origin FROM commands WHERE actor = ? ORDER BY started_at, rowid')
        .pluck()
        .all(actor);
      if (rows.length === 0) throw new Error(`no command of ${actor}`);
      return rows;
    }, 20_000);
  } finally {
    db.close();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
