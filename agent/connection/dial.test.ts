import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Hello } from '../../protocol/handshake.ts';
import { HubStandIn } from '../../test/support/hub-stand-in.ts';
import { type DialOptions, dial } from './dial.ts';
import type { HubRoute } from './hub-transport.ts';

const HELLO: Hello = { type: 'authenticate', token: 'token-1', version: '1' };

const PLAIN: HubRoute = {
  options: {},
  watch: () => undefined,
  explain: (error) => error,
  close: () => undefined,
};

let hubs: HubStandIn;
beforeEach(async () => {
  hubs = await HubStandIn.start();
});
afterEach(async () => {
  await hubs[Symbol.asyncDispose]();
});

function start(options: Partial<DialOptions> = {}) {
  const signal = new AbortController().signal;
  const all = { url: hubs.url, route: PLAIN, hello: async () => HELLO, signal, ...options };
  return dial(all, (socket, welcome) => {
    const messages: string[] = [];
    socket.on('message', (data: Buffer) => messages.push(data.toString()));
    return { socket, welcome, messages };
  });
}

async function refusedBy(
  act: (hub: Awaited<ReturnType<HubStandIn['accept']>>) => void,
  options = {},
) {
  const dialling = start(options);
  const hub = await hubs.accept();
  await hub.next();
  act(hub);
  const error: unknown = await dialling.catch((reason: unknown) => reason);
  return error;
}

describe('dial', () => {
  it('introduces the agent and hands the socket over with the welcome', async () => {
    const dialling = start();
    const hub = await hubs.accept();
    expect(await hub.next()).toEqual(HELLO);
    hub.send({ type: 'authenticated', agent_id: 'agent-1', config: { metrics_interval: 7 } });
    const { welcome, socket } = await dialling;
    expect(welcome).toMatchObject({ agent_id: 'agent-1', config: { metrics_interval: 7 } });
    expect(welcome.config.health_interval).toBe(60);
    socket.terminate();
  });

  it('loses no message that comes together with the welcome', async () => {
    const dialling = start();
    const hub = await hubs.accept();
    await hub.next();
    hub.send({ type: 'authenticated', agent_id: 'agent-1', config: {} });
    for (const text of ['1', '2', '3']) hub.send(text);
    const { messages, socket } = await dialling;
    while (messages.length < 3) await once(socket, 'message');
    expect(messages).toEqual(['1', '2', '3']);
    socket.terminate();
  });

  it('fails with the words and the close code of a refusal', async () => {
    const error = await refusedBy((hub) => hub.refuse('TOO_MANY_ATTEMPTS', 4013));
    expect(error).toMatchObject({
      name: 'DialError',
      closeCode: 4013,
      refusal: { code: 'TOO_MANY_ATTEMPTS' },
    });
  });

  it('fails with the close code of a hub that says nothing', async () => {
    const error = await refusedBy((hub) => hub.socket.close(1012));
    expect(error).toMatchObject({ name: 'DialError', closeCode: 1012, refusal: undefined });
  });

  it.each([
    ['AGENT_REVOKED', 4002],
    ['TOO_MANY_ATTEMPTS', 4013],
    ['CODE_USED', 4001],
    [undefined, 4001],
  ])('takes a refusal %s that does not say how it closes as %i', async (code, closeCode) => {
    expect(await refusedBy((hub) => hub.refuse(code, 1000))).toMatchObject({ closeCode });
  });

  it('does not wait for the close of a hub that refused', async () => {
    const refuse = (hub: Awaited<ReturnType<HubStandIn['accept']>>) =>
      hub.send({ error: 'no', code: 'TOKEN_UNKNOWN' });
    const error = await refusedBy(refuse, { refusedCloseMs: 20 });
    expect(error).toMatchObject({ closeCode: 4001, refusal: { code: 'TOKEN_UNKNOWN' } });
  });

  it.each([
    'nonsense',
    '{}',
    '{"type":"authenticated"}',
    '{"type":"registered","agent_id":"a","config":{}}',
  ])('fails on an answer that is no welcome: %s', async (answer) => {
    const error = await refusedBy((hub) => hub.send(answer));
    expect(error).toMatchObject({ name: 'DialError', closeCode: 1006, refusal: undefined });
  });

  it('gives up a hub that opens the socket and never answers', async () => {
    const dialling = start({ welcomeTimeoutMs: 30 });
    await expect(dialling).rejects.toMatchObject({ name: 'DialError', closeCode: 1006 });
  });

  it('gives up a hub that takes the connection and never opens the socket', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const dialling = start({ url: `ws://127.0.0.1:${port}/`, openTimeoutMs: 30 });
    await expect(dialling).rejects.toMatchObject({ name: 'DialError', closeCode: 1006 });
    server.close();
  });

  it.each([
    ['deep', '['.repeat(65)],
    ['wide', `[${','.repeat(250_000)}`],
  ])('does not parse an answer that is too %s', async (_, answer) => {
    const error = await refusedBy((hub) => hub.send(answer));
    expect(error).toMatchObject({ name: 'DialError', closeCode: 1006 });
  });

  it('fails when it cannot introduce itself', async () => {
    const dialling = start({
      hello: async () => {
        throw new RangeError('no');
      },
    });
    await expect(dialling).rejects.toMatchObject({ cause: { name: 'RangeError' } });
  });

  it('fails when nobody listens', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    const dialling = start({ url: `ws://127.0.0.1:${port}/` });
    await expect(dialling).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } });
  });

  it('fails when a plain web server answers', async () => {
    const server = createHttpServer((_, response) => response.writeHead(404).end()).listen(
      0,
      '127.0.0.1',
    );
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const dialling = start({ url: `ws://127.0.0.1:${port}/` });
    await expect(dialling).rejects.toHaveProperty('name', 'DialError');
    server.close();
  });

  it('ends when it is aborted, before and while it dials', async () => {
    const early = start({ signal: AbortSignal.abort() });
    await expect(early).rejects.toHaveProperty('name', 'DialError');
    const controller = new AbortController();
    const late = start({ signal: controller.signal });
    const refused = expect(late).rejects.toHaveProperty('name', 'DialError');
    await hubs.accept();
    controller.abort();
    await refused;
  });
});
