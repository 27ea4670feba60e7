import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { capturedLog } from '../test/support/captured-log.ts';
import {
  fingerprintOf,
  type KeyPair,
  newServerCertificate,
  writeKeyPair,
} from '../test/support/certificates.ts';
import { HttpListener, type ListenOptions, type Routes } from './http-listener.ts';
import { readCertificate } from './tls/certificate.ts';

const stops: (() => Promise<void> | void)[] = [];
let pair: KeyPair;
let directory = '';

beforeAll(async () => {
  pair = await newServerCertificate(['localhost', '127.0.0.1']);
  directory = mkdtempSync(join(tmpdir(), 'tomo-listener-'));
});
afterEach(async () => {
  while (stops.length > 0) await stops.pop()?.();
});
afterAll(() => rmSync(directory, { recursive: true }));

const ROUTES: Routes = {
  mcp: async (request, response) => {
    for await (const _ of request);
    if (request.headers['x-fault'] === undefined) return void response.end('mcp');
    response.write('m');
    throw new Error('half way');
  },
  agent: (_request, stream) => void stream.end('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
  ready: () => true,
  metrics: () => {
    throw new Error('cannot count');
  },
};

async function listen(options: Partial<ListenOptions> = {}) {
  const { log, lines } = capturedLog();
  const all = { host: '127.0.0.1', port: 0, log, ...options };
  const listener = await HttpListener.listen(all, () => ROUTES);
  stops.push(() => listener[Symbol.asyncDispose]());
  return { listener, lines, port: Number(new URL(listener.url).port) };
}

function tls(): NonNullable<ListenOptions['certificate']> {
  const files = writeKeyPair(directory, pair);
  return { files, certificate: readCertificate(files) };
}

async function open<S extends Socket>(socket: S, event = 'connect'): Promise<S> {
  stops.push(() => void socket.destroy());
  socket.on('error', () => undefined);
  await once(socket, event);
  return socket;
}

const dial = (port: number): Promise<Socket> => open(connect(port, '127.0.0.1'));
const dialTls = (port: number): Promise<TLSSocket> =>
  open(connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }), 'secureConnect');

describe('connections that hold the port without using it', () => {
  const limits = { headersMs: 200, requestMs: 400 };

  it('cuts one that never sends a byte', async () => {
    const { port } = await listen({ limits });
    const socket = await dial(port);
    socket.resume();
    await once(socket, 'close');
  });

  it('cuts one that never begins the TLS handshake', async () => {
    const { port } = await listen({ limits, certificate: tls() });
    const socket = await dial(port);
    socket.resume();
    await once(socket, 'close');
  });

  it('cuts one that sends nothing after the TLS handshake', async () => {
    const { port } = await listen({ limits, certificate: tls() });
    const socket = await dialTls(port);
    socket.resume();
    await once(socket, 'close');
  });

  it('cuts a request whose body trickles, however steadily', async () => {
    const { port } = await listen({ limits });
    const socket = await dial(port);
    socket.resume();
    socket.write('POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n');
    const trickle = setInterval(() => socket.write('x'), 20);
    await once(socket, 'close');
    clearInterval(trickle);
  });

  it('takes no more of them than its limit, says so, and goes on when one leaves', async () => {
    const { port, lines } = await listen({ limits: { connections: 2 } });
    const [first] = [await dial(port), await dial(port)];
    for (const _ of [1, 2]) {
      const third = await dial(port);
      third.resume();
      await once(third, 'close');
    }
    expect(lines).toMatchObject([{ level: 40, connections: 2 }]);
    first?.destroy();
    await vi.waitFor(async () => {
      expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
    }, 10_000);
  });
});

describe('the paths', () => {
  it('are served with the base path of the public URL and without it', async () => {
    const { listener, port } = await listen({ publicUrl: 'https://tomo.example/tools/tomo/' });
    for (const base of ['', '/tools/tomo']) {
      expect((await fetch(`${listener.url}${base}/healthz`)).status).toBe(200);
      const mcp = await fetch(`${listener.url}${base}/mcp?x=1`, { method: 'POST', body: '{}' });
      expect(await mcp.text()).toBe('mcp');
      expect(await upgraded(port, `${base}/ws/agent`)).toContain('101');
    }
    for (const path of ['/tools/mcp', '/tools/tomomcp', '/other/mcp', '/tools/tomo']) {
      expect((await fetch(`${listener.url}${path}`)).status).toBe(404);
    }
  });

  it('cuts the connection for a fault of its own in the middle of an answer', async () => {
    const { listener, lines } = await listen();
    const headers = { 'X-Fault': 'late' };
    const answer = fetch(`${listener.url}/mcp`, { headers }).then((response) => response.text());
    await expect(answer).rejects.toThrow();
    expect(lines).toMatchObject([{ level: 50, err: { message: 'half way' } }]);
  });

  it('answers 500 for a fault of its own, whose cause is in the log alone', async () => {
    const { listener, lines } = await listen();
    const response = await fetch(`${listener.url}/metrics`);
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('cannot count');
    expect(lines).toMatchObject([{ level: 50, err: { message: 'cannot count' } }]);
  });
});

describe('the address', () => {
  it('is one that can be dialled where it listens on all interfaces', async () => {
    for (const [host, name] of [
      ['0.0.0.0', '127.0.0.1'],
      ['::1', '[::1]'],
      ['::', '[::1]'],
    ] as const) {
      const { listener } = await listen({ host });
      expect(new URL(listener.url).hostname).toBe(name);
      expect((await fetch(`${listener.url}/healthz`)).status).toBe(200);
    }
  });

  it('that cannot be had is named with the way out', async () => {
    const stranger = createServer().listen(0, '127.0.0.1');
    await once(stranger, 'listening');
    stops.push(() => void stranger.close());
    const address = stranger.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    await expect(listen({ port })).rejects.toMatchObject({
      exitCode: 1,
      message: expect.stringContaining('--port'),
    });
    for (const host of ['192.0.2.1', 'nowhere.invalid']) {
      await expect(listen({ host })).rejects.toMatchObject({ exitCode: 1 });
    }
  });
});

describe('the certificate', () => {
  it('is replaced for new connections while older ones stay', async () => {
    const { listener, port, lines } = await listen({ certificate: tls() });
    expect(listener.fingerprint).toBe(fingerprintOf(pair));
    const older = await dialTls(port);
    const next = await newServerCertificate(['localhost', '127.0.0.1']);
    writeKeyPair(directory, next);
    await vi.waitFor(() => expect(listener.fingerprint).toBe(fingerprintOf(next)), 10_000);
    const newer = await dialTls(port);
    expect(served(newer)).toBe(fingerprintOf(next));
    expect(served(older)).toBe(fingerprintOf(pair));
    older.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    const [answer] = (await once(older, 'data')) as [Buffer];
    expect(answer.toString()).toContain('200 OK');
    expect(lines).toMatchObject([{ level: 30, fingerprint: fingerprintOf(next) }]);
  });
});

function served(socket: TLSSocket): string {
  return socket.getPeerCertificate().fingerprint256.replaceAll(':', '').toLowerCase();
}

/** Everything that is answered to the request for an upgrade. */
async function upgraded(port: number, path: string): Promise<string> {
  const socket = await dial(port);
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  );
  const [answer] = (await once(socket, 'data')) as [Buffer];
  return answer.toString();
}
