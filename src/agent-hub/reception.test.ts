import { once } from 'node:events';
import { IncomingMessage } from 'node:http';
import { connect, Socket } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  HANDSHAKE_MAX_BYTES,
  HANDSHAKES_MAX_COUNT,
  HANDSHAKES_PER_ADDRESS_MAX_COUNT,
} from '../../protocol/limits.ts';
import type { FakeAgent } from '../../test/support/fake-agent.ts';
import { eventually, startHub, type TestHub } from '../../test/support/hub.ts';
import { temporaryDatabase } from '../../test/support/temporary-database.ts';
import { clientAddressOf } from './client-address.ts';
import { Reception } from './reception.ts';

/** Two file descriptors each; most systems allow a process at least so many. */
const SILENT_COUNT = 5_000;

describe('sockets that say nothing', () => {
  it('cost the one that has waited longest its place, of the address that has most', async () => {
    const reception = receptionAlone();
    const silent = Array.from({ length: HANDSHAKES_MAX_COUNT }, (_, i) =>
      upgrade(reception, `10.0.0.${Math.floor(i / 500)}`),
    );
    const gone = () => silent.flatMap(({ near }, i) => (near.destroyed ? [i] : []));
    expect(gone()).toEqual([]);
    const switching = 'HTTP/1.1 101 Switching Protocols';
    expect(await firstLine(upgrade(reception, '10.0.0.3').far)).toBe(switching);
    expect(gone()).toEqual([1_500]);
    // Twenty addresses have as many again: the one that has had so many for longest loses.
    expect(await firstLine(upgrade(reception, '10.0.0.99').far)).toBe(switching);
    expect(gone()).toEqual([0, 1_500]);
    expect(reception.refused).toBe(2);
  });

  it('of one address do not keep an agent of that address out', async () => {
    const test = await startHub();
    const { agent: first, agentId, token } = await test.join('web-1');
    const silent = await dialSilently(test, SILENT_COUNT);
    const { welcome } = await test.rejoin(token);
    expect(welcome).toMatchObject({ type: 'authenticated', agent_id: agentId });
    expect((await first.closed).code).toBe(4003);
    // One more went when the agent dialled, and its place was free when it was let in.
    const evicted = SILENT_COUNT + 1 - HANDSHAKES_PER_ADDRESS_MAX_COUNT;
    expect(test.hub.counters.refusedHandshakes).toBe(evicted);
    const stay = () => silent.filter(({ socket }) => socket.readyState === socket.OPEN);
    await eventually(() => expect(stay()).toHaveLength(SILENT_COUNT - evicted));
    expect(test.logged).toContainEqual(
      expect.objectContaining({ refusal: 'LIMIT_REACHED', address: '127.0.0.1' }),
    );
    const late = await stay()[0]?.hello({ type: 'authenticate', token });
    expect(late).toMatchObject({ agent_id: agentId });
  });
});

describe('refused sockets that do not go', () => {
  const refuse = async (test: TestHub, isDeaf: boolean): Promise<FakeAgent> => {
    const agent = await test.dial();
    if (isDeaf) agent.socket.pause();
    agent.send({ type: 'authenticate', token: 'nonsense' });
    return agent;
  };

  it('are cut when there are too many of one address', async () => {
    const test = await startHub({ timings: { closeMs: 3_600_000 } });
    const deaf = HANDSHAKES_PER_ADDRESS_MAX_COUNT + 10;
    for (let i = 0; i < deaf; i += 1) await refuse(test, true);
    await eventually(() => expect(test.hub.counters.refusedHandshakes).toBe(deaf));
    await eventually(() => expect(test.openConnections).toBe(HANDSHAKES_PER_ADDRESS_MAX_COUNT));
  });

  it('do not count with those that went', async () => {
    const test = await startHub({ timings: { closeMs: 3_600_000 } });
    await refuse(test, true);
    await eventually(() => expect(test.hub.counters.refusedHandshakes).toBe(1));
    for (let i = 0; i < HANDSHAKES_PER_ADDRESS_MAX_COUNT; i += 1) {
      await (await refuse(test, false)).closed;
    }
    await eventually(() => expect(test.openConnections).toBe(1));
  });
});

describe('an address that a trusted proxy tells', () => {
  it('is the one that is logged, limited and shown', async () => {
    const test = await startHub({ clientAddress: clientAddressOf(['127.0.0.1']) });
    const headers = { 'X-Forwarded-For': '192.0.2.7, 198.51.100.1' };
    const { agentId } = await test.join('web-1', {}, { headers });
    expect(test.hub.connected(agentId)?.address).toBe('198.51.100.1');
    const guesser = await test.dial({ headers });
    await guesser.hello({ type: 'register', code: 'guess' });
    expect(test.logged).toContainEqual(
      expect.objectContaining({ refusal: 'CODE_UNKNOWN', address: '198.51.100.1' }),
    );
  });

  it('is not believed of anybody else', async () => {
    const test = await startHub();
    const headers = { 'X-Forwarded-For': '198.51.100.1' };
    const { agentId } = await test.join('web-1', {}, { headers });
    expect(test.hub.connected(agentId)?.address).toBe('127.0.0.1');
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

/** Not all at once: more than the system queues for a listener would wait for seconds. */
async function dialSilently(test: TestHub, count: number): Promise<FakeAgent[]> {
  const silent: FakeAgent[] = [];
  while (silent.length < count) {
    silent.push(...(await Promise.all(Array.from({ length: 100 }, () => test.dial()))));
  }
  return silent;
}

function receptionAlone(): Reception {
  const reception = new Reception({
    db: temporaryDatabase().db,
    log: pino({ level: 'silent' }),
    handshakeMs: 3_600_000,
    closeMs: 100,
    clientAddress: clientAddressOf([]),
    onAdmitted: () => Promise.resolve(),
    onClone: () => expect.unreachable(),
  });
  onTestFinished(() => reception.terminate());
  return reception;
}

/** An upgrade on a connection in memory: 10,000 real ones are more than many machines allow a process. */
function upgrade(reception: Reception, address: string): { near: Duplex; far: Duplex } {
  const [near, far] = duplexPair();
  const socket = new Socket();
  Object.defineProperty(socket, 'remoteAddress', { value: address });
  const request = new IncomingMessage(socket);
  request.method = 'GET';
  request.url = '/ws/agent';
  request.headers = {
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
  };
  reception.accept(request, near, Buffer.alloc(0));
  return { near, far };
}

async function firstLine(stream: Duplex | undefined): Promise<string | undefined> {
  return await new Promise((resolve) => {
    stream?.once('data', (bytes: Buffer) => resolve(bytes.toString().split('\r\n', 1)[0]));
  });
}
