import { connect as connectTcp } from 'node:net';
import { afterAll, expect, it } from 'vitest';
import { BesiegedHub } from '../support/besieged-hub.ts';
import { Started } from '../support/processes.ts';
import { sized } from '../support/test-size.ts';
import { TEST_TOKEN } from '../support/tomo.ts';

const ROUNDS = sized({ short: 5, full: 200 });
const LF = '\r\n';

const started = new Started();
let besieged: BesiegedHub | undefined;

// One for the whole file: it takes a while until its memory has settled.
async function siege(): Promise<BesiegedHub> {
  return (besieged ??= await BesiegedHub.start(started));
}

afterAll(() => started[Symbol.asyncDispose]());

/** All that the server answers to these bytes until it closes. */
async function exchange(port: number, bytes: string): Promise<string> {
  const socket = connectTcp({ port, host: '127.0.0.1' });
  const closed = new Promise((resolve) => socket.on('error', () => undefined).on('close', resolve));
  let answer = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    answer += text;
  });
  socket.write(bytes);
  await closed;
  return answer;
}

function request(headers: readonly string[], body = '', target = 'POST /mcp'): string {
  const all = [`${target} HTTP/1.1`, 'Host: 127.0.0.1', ...headers, '', body];
  return all.join(LF);
}

const AUTHORIZED = `Authorization: Bearer ${TEST_TOKEN}`;
const SMUGGLED = `GET /metrics HTTP/1.1${LF}Host: 127.0.0.1${LF}${AUTHORIZED}${LF}${LF}`;
const CHUNKED = 'Transfer-Encoding: chunked';

/** Requests of which two readers could think differently where they end. */
const AMBIGUOUS: Record<string, string> = {
  'a length and chunks': request(['Content-Length: 5', CHUNKED], `0${LF}${LF}${SMUGGLED}`),
  'chunks and a length': request([CHUNKED, 'Content-Length: 5'], `0${LF}${LF}${SMUGGLED}`),
  'two lengths': request(['Content-Length: 0', 'Content-Length: 9'], SMUGGLED),
  'two lengths in one': request(['Content-Length: 0, 9'], SMUGGLED),
  'a signed length': request(['Content-Length: +0'], SMUGGLED),
  'a negative length': request(['Content-Length: -1'], SMUGGLED),
  'a length in hex': request(['Content-Length: 0x0'], SMUGGLED),
  'another coding after chunks': request([`${CHUNKED}, identity`], `0${LF}${LF}${SMUGGLED}`),
  'a space before the colon': request([`Transfer-Encoding : chunked`], `0${LF}${LF}${SMUGGLED}`),
  'a folded header': request(['X: a', ' Transfer-Encoding: chunked'], SMUGGLED),
  'a bare line feed': `POST /mcp HTTP/1.1\nHost: x\nContent-Length: 0\n\n${SMUGGLED}`,
  'a bare carriage return': request([`X: a\rContent-Length: 99`], SMUGGLED),
  'a zero byte': request(['X: \u0000'], SMUGGLED),
  'no host': `POST /mcp HTTP/1.1${LF}${LF}${SMUGGLED}`,
  'a bad chunk length': request([CHUNKED], `zz${LF}${SMUGGLED}`),
  'headers without end': request([`X: ${'x'.repeat(64 * 1_024)}`]),
  'too many headers': request(Array.from({ length: 3_000 }, (_, index) => `X-${index}: 1`)),
  'a long target': request([], '', `GET /${'x'.repeat(64 * 1_024)}`),
  'no HTTP': `\u0016\u0003\u0001${'\u0000'.repeat(64)}${LF}${LF}`,
};

it('requests that can be read in two ways are refused, and what follows is not read', async () => {
  const hub = await siege();
  const { port } = hub.server;
  await hub.withstands('ambiguous requests', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [name, bytes] of Object.entries(AMBIGUOUS)) {
        const answer = await exchange(port, bytes);
        expect([name, answer.split(' ', 2)[1]]).toEqual([name, expect.stringMatching(/^4\d\d$/)]);
        expect([name, answer.includes('tomo_agents_connected')]).toEqual([name, false]);
      }
    }
  });
});

it('an upgrade that is refused ends its connection with what was smuggled behind it', async () => {
  const hub = await siege();
  const { port } = hub.server;
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
  await hub.withstands('smuggling upgrades', async () => {
    for (const headers of [
      upgrade,
      [...upgrade, 'Sec-WebSocket-Key: short'],
      [
        ...upgrade.slice(0, 2),
        'Sec-WebSocket-Version: 99',
        'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==',
      ],
      [...upgrade, 'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==', 'Origin: http://example.com'],
    ]) {
      const answer = await exchange(port, request(headers, SMUGGLED, 'GET /ws/agent'));
      expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
      expect(answer).not.toContain('tomo_agents_connected');
    }
  });
});
