import { afterEach, describe, expect, it, vi } from 'vitest';
import type { TestClient } from './support/mcp-client.ts';
import { freePort, Started, TOMO } from './support/processes.ts';
import { connect, startAgent, startServer, TEST_TOKEN } from './support/tomo.ts';

let started = new Started();

afterEach(async () => {
  await started[Symbol.asyncDispose]();
  started = new Started();
});

const PING = { server_id: 'web-1', method: 'agent.ping' };

describe('several processes on one data directory', () => {
  it('all answer; when the owner is killed another takes over and the agent is back', async () => {
    const server = await startServer(started);
    const first = await connect(started, 'v2-auto', server.stdio);
    const second = await connect(started, 'v1', server.stdio);
    const http = await connect(started, 'v2-legacy', server.http);
    await startAgent(started, server, http, 'web-1');
    for (const client of [first, second, http]) {
      expect(await ping(client)).toMatchObject({ status: 'succeeded' });
    }

    await server.program.stop('SIGKILL');

    // A read waits for the next owner and is asked again there.
    expect((await first.callTool('list_agents', {})).isError ?? false).toBe(false);
    await vi.waitUntil(async () => (await ping(first))?.['status'] === 'succeeded', 20_000);
    await vi.waitUntil(async () => (await ping(second))?.['status'] === 'succeeded', 20_000);
    // The new owner answers at the same address over HTTP too.
    const after = await connect(started, 'v2-auto', server.http);
    expect(await ping(after)).toMatchObject({ status: 'succeeded' });
  });

  it('a second server stands by at the same address and takes over', async () => {
    const server = await startServer(started);
    const client = await connect(started, 'v2-auto', server.http);
    await startAgent(started, server, client, 'web-1');
    const standby = await startServer(started, { dataDir: server.dataDir, port: server.port });
    expect(standby.program.log()).toContain('"role":"guest"');
    await server.program.stop('SIGTERM');
    await standby.program.line('"role":"owner"');
    const after = await connect(started, 'v2-auto', server.http);
    await vi.waitUntil(async () => (await ping(after))?.['status'] === 'succeeded', 20_000);
  });

  it('a second server with other flags is refused, naming the first', async () => {
    const server = await startServer(started);
    const other = started.tomo(['serve', '--data-dir', server.dataDir, '--port', '1']);
    expect(await other.ended).toBe(1);
    expect(other.log()).toContain(server.url);
  });

  it('a server takes the directory from a client’s own process, which goes on as its guest', async () => {
    const dataDir = started.directory();
    const port = await freePort();
    const flags = ['--data-dir', dataDir, '--port', String(port)];
    const stdio = await connect(started, 'v1', {
      command: process.execPath,
      args: [TOMO, ...flags],
      env: { TOMO_TOKEN: TEST_TOKEN },
    });
    const url = `http://127.0.0.1:${port}`;
    await startAgent(started, { url }, stdio, 'web-1');
    const server = await startServer(started, { dataDir, port, args: ['--read-only'] });
    await server.program.line('"role":"owner"');
    await vi.waitUntil(async () => (await ping(stdio))?.['status'] === 'succeeded', 20_000);
    // The server's rules hold for the guest, also when it takes over again.
    for (const end of [() => Promise.resolve(), () => server.program.stop('SIGKILL')]) {
      await end();
      // Between two owners a call may be told that the first one went.
      await vi.waitFor(async () => {
        const result = await stdio.callTool('install_agent', { server_id: 'web-2' });
        expect(result.structuredContent).toMatchObject({ error: { name: 'ACCESS_DENIED' } });
      }, 20_000);
    }
  });

  it('an owner that hangs is given up after some seconds, and that is said', async () => {
    const server = await startServer(started);
    const client = await connect(started, 'v2-auto', server.stdio);
    await client.callTool('list_agents', {});
    process.kill(server.program.pid, 'SIGSTOP');
    const hung = await client.callTool('send_agent_command', PING);
    expect(hung.structuredContent).toMatchObject({ error: { name: 'OWNER_UNREACHABLE' } });
    const second = started.tomo(['serve', ...server.flags], { TOMO_TOKEN: TEST_TOKEN });
    expect(await second.ended).toBe(1);
    expect(second.log()).toContain('hangs');
    process.kill(server.program.pid, 'SIGCONT');
    await vi.waitUntil(async () => !(await client.callTool('list_agents', {})).isError, 30_000);
  });

  it('a call that was running when the owner died says that it may have taken effect', async () => {
    const server = await startServer(started);
    const client = await connect(started, 'v2-auto', server.stdio);
    await startAgent(started, server, client, 'web-1');
    const call = client.callTool('send_agent_command', {
      server_id: 'web-1',
      method: 'system.exec',
      params: { command: 'sleep 60' },
    });
    const http = await connect(started, 'v2-auto', server.http);
    await vi.waitUntil(
      async () => (await metric(server.url, 'tomo_calls_in_flight')) === 1,
      10_000,
    );
    await http.close();
    await server.program.stop('SIGKILL');
    expect(await call).toMatchObject({
      isError: true,
      structuredContent: { error: { name: 'OWNER_UNREACHABLE' } },
    });
  });

  it('a client that starts its server twice disturbs nothing', async () => {
    const server = await startServer(started);
    const client = await connect(started, 'v2-auto', server.http);
    const agent = await startAgent(started, server, client, 'web-1');
    for (let round = 0; round < 3; round += 1) {
      const guest = await connect(started, 'v2-auto', server.stdio);
      expect(await ping(guest)).toMatchObject({ status: 'succeeded' });
      await guest.close();
    }
    expect(agent.log()).not.toContain('"disconnected"');
  });
});

describe('a restart of the server', () => {
  it('keeps the database, brings the agents back, and says connected only of those that are', async () => {
    const server = await startServer(started);
    const client = await connect(started, 'v2-auto', server.http);
    const agent = await startAgent(started, server, client, 'web-1');
    const gone = await startAgent(started, server, client, 'web-2');
    await client.callTool('configure_agents', {
      server_ids: ['web-1'],
      settings: { metrics_interval: 77 },
    });
    await gone.stop('SIGKILL');
    await server.program.stop('SIGKILL');
    const before = agent.lineCount();

    const again = await startServer(started, { dataDir: server.dataDir, port: server.port });
    const later = await connect(started, 'v2-auto', again.http);
    await agent.line('"connected"', before);

    expect((await later.callTool('list_agents', {})).structuredContent).toMatchObject({
      agents: [
        { server_id: 'web-1', status: 'connected' },
        { server_id: 'web-2', status: 'disconnected' },
      ],
    });
    const status = await later.callTool('get_agent_status', { server_id: 'web-1' });
    expect(status.structuredContent).toMatchObject({ config: { metrics_interval: 77 } });
  });

  it('closes everything when asked to, and tells agents to come back', async () => {
    const server = await startServer(started);
    const client = await connect(started, 'v2-auto', server.http);
    const agent = await startAgent(started, server, client, 'web-1');
    await server.program.stop('SIGTERM');
    expect(server.program.child.exitCode).toBe(0);
    expect(await agent.line('1012')).toBeTruthy();
  });
});

async function ping(client: TestClient): Promise<Record<string, unknown> | undefined> {
  return (await client.callTool('send_agent_command', PING)).structuredContent;
}

async function metric(url: string, name: string): Promise<number> {
  const response = await fetch(`${url}/metrics`, {
    headers: { Authorization: `Bearer ${TEST_TOKEN}` },
  });
  const line = (await response.text()).split('\n').find((text) => text.startsWith(`${name} `));
  return Number(line?.split(' ')[1]);
}
