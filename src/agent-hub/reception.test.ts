import { once } from 'node:events';
import { IncomingMessage } from 'node:http';
import { connect, Socket } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { HANDSHAKE_MAX_BYTES, HANDSHAKES_MAX_COUNT } from '../../protocol/limits.ts';
import { eventually, startHub } from '../../test/support/hub.ts';
import { temporaryDatabase } from '../../test/support/temporary-database.ts';
import { Reception } from './reception.ts';

describe('sockets that say nothing', () => {
  it('are at most 10,000: one more is turned away, and let in when there is room again', async () => {
    const reception = new Reception({
      db: temporaryDatabase().db,
      log: pino({ level: 'silent' }),
      handshakeMs: 3_600_000,
      closeMs: 100,
      onAdmitted: () => Promise.resolve(),
    });
    onTestFinished(() => reception.terminate());
    const silent = Array.from({ length: HANDSHAKES_MAX_COUNT }, () => upgrade(reception));
    expect(await firstLine(silent.at(-1))).toBe('HTTP/1.1 101 Switching Protocols');
    expect(await firstLine(upgrade(reception))).toBe('HTTP/1.1 503 Service Unavailable');
    silent[0]?.resume();
    silent[0]?.end();
    await eventually(async () => {
      expect(await firstLine(upgrade(reception))).toBe('HTTP/1.1 101 Switching Protocols');
    });
  });
});

describe('a refused socket that sends on', () => {
  it('is read no further than a first message may be long, then cut off', async () => {
    const test = await startHub({ timings: { closeMs: 300 } });
    const agent = await test.dial();
    // Deaf to the close frame, which any client would answer.
    agent.socket.pause();
    agent.send('hello');
    await eventually(() => expect(test.hub.counters.refusedHandshakes).toBe(1));
    const head = Buffer.alloc(14);
    head.writeUInt16BE(0x81ff, 0);
    head.writeBigUInt64BE(8n * 1024n * 1024n, 2);
    void agent.writeRaw(head);
    void agent.writeRaw(Buffer.alloc(7 * 1024 * 1024, 'x'));
    await eventually(() => expect(test.openConnections).toBe(0));
    expect(test.bytesRead).toBeLessThan(4 * HANDSHAKE_MAX_BYTES);
  });
});

describe('an upgrade that is none', () => {
  it('is answered with an HTTP error and costs nothing', async () => {
    const test = await startHub();
    const { hostname, port } = new URL(test.url);
    const client = connect(Number(port), hostname);
    client.write(
      'GET /ws/agent HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
    expect(await firstLine(client)).toBe('HTTP/1.1 400 Bad Request');
    await once(client, 'close');
    expect((await test.join('web-1')).welcome).toMatchObject({ type: 'registered' });
  });
});

describe('an upgrade that names an Origin, as those of web pages do', () => {
  it('is refused with 403 and ended, counted and logged', async () => {
    const test = await startHub();
    const { hostname, port } = new URL(test.url);
    const client = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    client.write(
      'GET /ws/agent HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n' +
        `Origin: http://${hostname}:${port}\r\n\r\n`,
    );
    expect(await firstLine(client)).toBe('HTTP/1.1 403 Forbidden');
    // The client ends nothing; only the hub can have ended the connection.
    await eventually(() => expect(test.openConnections).toBe(0));
    client.destroy();
    expect(test.hub.counters.refusedHandshakes).toBe(1);
    expect(test.logged).toContainEqual(expect.objectContaining({ level: 30, refusal: '403' }));
    expect((await test.join('web-1')).welcome).toMatchObject({ type: 'registered' });
  });
});

describe('a refused handshake', () => {
  it('is logged with the error, the address and the close code', async () => {
    const test = await startHub();
    const agent = await test.dial();
    await agent.hello({ type: 'authenticate', token: 'nonsense' });
    expect(test.logged).toContainEqual(
      expect.objectContaining({
        level: 30,
        refusal: 'TOKEN_UNKNOWN',
        address: '127.0.0.1',
        close: 4001,
        left_out: 0,
      }),
    );
  });
});

/** An upgrade on a connection in memory: 10,000 real ones are more than many machines allow a process. */
function upgrade(reception: Reception): Duplex {
  const [near, far] = duplexPair();
  const request = new IncomingMessage(new Socket());
  request.method = 'GET';
  request.url = '/ws/agent';
  request.headers = {
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
  };
  reception.accept(request, near, Buffer.alloc(0));
  return far;
}

async function firstLine(stream: Duplex | undefined): Promise<string | undefined> {
  return await new Promise((resolve) => {
    stream?.once('data', (bytes: Buffer) => resolve(bytes.toString().split('\r\n', 1)[0]));
  });
}
