import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { z } from 'zod';
import {
  type KeyPair,
  newAuthority,
  newServerCertificate,
  writeKeyPair,
} from './support/certificates.ts';
import { CLIENT_KINDS } from './support/mcp-client.ts';
import { freePort, type Program, Started } from './support/processes.ts';
import { hasProxy, PROXY_KINDS, type ProxyKind, startProxy } from './support/reverse-proxy.ts';
import { connect, startAgent, startServer, TEST_TOKEN, type TomoServer } from './support/tomo.ts';

/** Another address of this machine, to tell a client from the proxy. */
const ELSEWHERE = '127.0.0.2';
const PINGS_COUNT = 3;

const certificates = new Started();
const files = { cert: '', key: '', authority: '' };
let trusted: string[] = [];

beforeAll(async () => {
  const authority: KeyPair = await newAuthority();
  const directory = certificates.directory();
  Object.assign(
    files,
    writeKeyPair(directory, await newServerCertificate(['localhost'], { authority })),
    { authority: join(directory, 'ca.pem') },
  );
  writeFileSync(files.authority, authority.cert);
  trusted = tls.getCACertificates('default');
  tls.setDefaultCACertificates([...trusted, authority.cert]);
});

afterAll(async () => {
  tls.setDefaultCACertificates(trusted);
  await certificates[Symbol.asyncDispose]();
});

const CASES = PROXY_KINDS.flatMap((kind) =>
  [false, true].map((strips) => ({ kind, strips, how: strips ? 'takes off' : 'leaves' })),
);

interface Setup {
  readonly server: TomoServer;
  readonly args: string[];
  /** Base URL at the proxy. */
  readonly url: string;
  readonly agent: Program;
}

/** Tomo behind the proxy, and an agent that comes in through it. */
async function setUp(started: Started, kind: ProxyKind, strips: boolean): Promise<Setup> {
  const listen = await freePort();
  const url = `https://localhost:${listen}/tomo`;
  const args = ['--public-url', url, '--trusted-proxies', '127.0.0.1'];
  const server = await startServer(started, { args });
  await startProxy(started, kind, { listen, port: server.port, files, strips });
  const client = await connect(started, 'v2-auto', { url: `${url}/mcp`, token: TEST_TOKEN });
  const agent = await startAgent(started, { url }, client, 'web-1', { CA_CERT: files.authority });
  return { server, args, url, agent };
}

describe.each(CASES)('behind $kind with TLS, which $how the path', ({ kind, strips }) => {
  const started = new Started();
  const here = hasProxy(kind);
  let setup: Setup;

  beforeAll(async () => {
    if (here) setup = await setUp(started, kind, strips);
  });
  afterAll(() => started[Symbol.asyncDispose]());

  it.runIf(here).each(CLIENT_KINDS.filter((name) => name !== 'inspector'))(
    'serves MCP clients: %s',
    async (name) => {
      const target = { url: `${setup.url}/mcp`, token: TEST_TOKEN };
      const client = await connect(started, name, target);
      const { structuredContent } = await client.callTool('send_agent_command', {
        server_id: 'web-1',
        method: 'system.exec',
        params: { command: 'echo through' },
      });
      expect(structuredContent).toMatchObject({ result: { stdout: 'through\n' } });
    },
  );

  it.runIf(here)('keeps agents, though it cuts what is silent for 7 seconds', async () => {
    const { url, agent, server } = setup;
    const client = await connect(started, 'v2-auto', server.http);
    const socket = await seedAgent(url, await newCode(client, 'web-2'));
    started.defer(() => socket.terminate());
    const lost = once(socket, 'close').then(() => 'closed');
    for (let pings = 0; pings < PINGS_COUNT; pings += 1) {
      const seen = await Promise.race([once(socket, 'ping').then(() => 'ping'), lost]);
      expect(seen).toBe('ping');
    }
    const lines = agent.log().split('\n');
    expect(lines.filter((line) => line.includes('"msg":"connected"'))).toHaveLength(1);
    // The proxy's word for where it came from is taken.
    const status = await client.callTool('get_agent_status', { server_id: 'web-2' });
    expect(status.structuredContent).toMatchObject({ status: 'connected', address: ELSEWHERE });
  });

  it.runIf(here)('lets agents come back when Tomo was away', async () => {
    const { agent, args, server } = setup;
    const since = agent.lineCount();
    await server.program.stop('SIGTERM');
    await startServer(started, { dataDir: server.dataDir, port: server.port, args });
    await agent.line('"msg":"connected"', since);
    const client = await connect(started, 'v1', server.http);
    await vi.waitFor(async () => {
      const status = await client.callTool('get_agent_status', { server_id: 'web-1' });
      expect(status.structuredContent).toMatchObject({ status: 'connected' });
    }, 20_000);
  });
});

async function newCode(
  client: Awaited<ReturnType<typeof connect>>,
  serverId: string,
): Promise<string> {
  const { structuredContent } = await client.callTool('install_agent', { server_id: serverId });
  return z.object({ registration_code: z.string() }).parse(structuredContent).registration_code;
}

/** An agent that says nothing by itself, dialled from another address. */
async function seedAgent(url: string, code: string): Promise<WebSocket> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/agent`, {
    localAddress: ELSEWHERE,
    ca: [...tls.getCACertificates('default')],
  });
  await once(socket, 'open');
  socket.send(JSON.stringify({ type: 'register', code, version: '1.0.0' }));
  const [welcome] = (await once(socket, 'message')) as [Buffer];
  expect(JSON.parse(welcome.toString())).toMatchObject({ type: 'registered' });
  return socket;
}
