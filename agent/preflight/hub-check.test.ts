import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { HubTransport } from '../connection/hub-transport.ts';
import { checkHub } from './hub-check.ts';

const { signal } = new AbortController();

async function check(url: string) {
  const hubAddress = { url, fingerprint: undefined };
  return await checkHub({ hubAddress, transport: new HubTransport() }, signal);
}
const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

async function hub(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  stops.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}/some/ws/agent?x=1`;
}

describe('hub and clock', () => {
  it('pass when the hub answers beside the agents’ path and has the same time', async () => {
    let asked: string | undefined;
    const url = await hub((request, response) => {
      asked = request.url;
      response.end('ok');
    });
    expect(await check(url)).toEqual([
      { name: 'hub', ok: true, detail: expect.stringMatching(/answered 200 in \d+ ms$/) },
      { name: 'clock', ok: true, detail: expect.stringMatching(/^\d+ s .* the hub$/) },
    ]);
    expect(asked).toBe('/some/healthz');
  });

  it.each([
    [-3_600_000, /^\d+ s ahead of the hub$/],
    [3_600_000, /^\d+ s behind the hub$/],
  ])('tell that the hub’s clock differs by %i ms', async (byMs, detail) => {
    const url = await hub((_request, response) => {
      response.setHeader('date', new Date(Date.now() + byMs).toUTCString()).end();
    });
    expect((await check(url))[1]).toMatchObject({
      ok: false,
      detail: expect.stringMatching(detail),
      next_step: expect.stringContaining('NTP'),
    });
  });

  it('tell a hub in trouble, and one that gives no date', async () => {
    const url = await hub((_request, response) => {
      response.sendDate = false;
      response.writeHead(502).end();
    });
    expect(await check(url)).toMatchObject([
      { ok: false, detail: expect.stringContaining('502'), next_step: expect.any(String) },
      { ok: false, detail: expect.stringContaining('unknown') },
    ]);
  });

  it.each(['ws', 'wss'])('tell that nothing answers over %s', async (protocol) => {
    expect(await check(`${protocol}://127.0.0.1:1/ws/agent`)).toMatchObject([
      { ok: false, detail: expect.stringContaining('ECONNREFUSED') },
      { ok: false },
    ]);
  });
});
