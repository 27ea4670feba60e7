import { once } from 'node:events';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { TomoError } from '../../protocol/errors.ts';
import { type HubSocket, HubStandIn } from '../../test/support/hub-stand-in.ts';
import type { Dispatch } from '../dispatcher.ts';
import { type CommandLimits, RunningCommands } from '../running-commands.ts';
import { Session, type SessionLimits } from './session.ts';

const log = pino({ level: 'silent' });

let hubs: HubStandIn;
beforeEach(async () => {
  hubs = await HubStandIn.start();
});
afterEach(async () => {
  await hubs[Symbol.asyncDispose]();
});

interface Started {
  readonly hub: HubSocket;
  readonly session: Session;
  readonly commands: RunningCommands;
  readonly socket: WebSocket;
}

const notified: string[] = [];
beforeEach(() => {
  notified.length = 0;
});

async function start(
  dispatch: Dispatch,
  { silenceMaxMs, backlogMaxBytes, ...limits }: Partial<SessionLimits & CommandLimits> = {},
): Promise<Started> {
  const commands = new RunningCommands({ dispatch, log, limits });
  const ofSession = {
    ...(silenceMaxMs !== undefined && { silenceMaxMs }),
    ...(backlogMaxBytes !== undefined && { backlogMaxBytes }),
  };
  return await attach(commands, { limits: ofSession });
}

async function attach(
  commands: RunningCommands,
  { confirms = true, limits = {} }: { confirms?: boolean; limits?: Partial<SessionLimits> } = {},
): Promise<Started> {
  const socket = new WebSocket(hubs.url);
  await once(socket, 'open');
  const onNotification = (method: string) => {
    notified.push(method);
  };
  const session = new Session(socket, { commands, confirms, log, limits, onNotification });
  return { hub: await hubs.accept(), session, commands, socket };
}

/** Runs until its call is aborted, then fails with the reason. */
const untilAborted: Dispatch = async (_method, _params, { signal }) => {
  if (!signal.aborted) await once(signal, 'abort');
  throw signal.reason;
};
const echo: Dispatch = async (method, params) => ({ method, params });

describe('Session', () => {
  it('answers requests, those without params too', async () => {
    const { hub } = await start(echo);
    expect(await hub.call('a', 'x', { y: 1 })).toEqual({
      jsonrpc: '2.0',
      id: 'a',
      result: { method: 'x', params: { y: 1 } },
    });
    hub.send({ jsonrpc: '2.0', id: 'b', method: 'x' });
    expect(await hub.answer('b')).toMatchObject({ result: { method: 'x', params: {} } });
  });

  it('serves a second request while the first still runs', async () => {
    const { hub } = await start(async (method, params, context) =>
      method === 'slow' ? await untilAborted(method, params, context) : 'done',
    );
    hub.request('a', 'slow');
    expect(await hub.call('b', 'quick')).toMatchObject({ result: 'done' });
  });

  it('passes the error of a call on with its code and name', async () => {
    const { hub } = await start(async () => {
      throw new TomoError('NOT_FOUND', 'no such thing', { facts: { thing: 'x' } });
    });
    expect(await hub.call('a', 'x')).toEqual({
      jsonrpc: '2.0',
      id: 'a',
      error: { code: 1202, message: 'no such thing', data: { name: 'NOT_FOUND', thing: 'x' } },
    });
  });

  it('aborts the call that is cancelled and no other', async () => {
    const { hub } = await start(untilAborted);
    hub.request('a', 'x');
    hub.request('b', 'x');
    hub.send({ jsonrpc: '2.0', method: '$/cancelRequest', params: { id: 'b' } });
    const answer = await hub.next();
    expect(answer).toMatchObject({ id: 'b', error: { data: { name: 'COMMAND_CANCELLED' } } });
  });

  it('ignores a cancel of an unknown call and other notifications', async () => {
    const { hub } = await start(echo);
    hub.send({ jsonrpc: '2.0', method: '$/cancelRequest', params: { id: 'unknown' } });
    hub.send({ jsonrpc: '2.0', method: '$/cancelRequest' });
    hub.send({ jsonrpc: '2.0', method: 'hub.news', params: {} });
    hub.request('a', 'x');
    expect(await hub.next()).toHaveProperty('id', 'a');
  });

  it('refuses an id that is in use, without disturbing the call that has it', async () => {
    let runs = 0;
    const { hub } = await start(async (method, params, context) => {
      runs += 1;
      return await untilAborted(method, params, context);
    });
    hub.request('a', 'x');
    hub.request('a', 'x');
    expect(await hub.next()).toMatchObject({
      id: null,
      error: { code: -32600, data: { name: 'INVALID_REQUEST', id: 'a' } },
    });
    expect(runs).toBe(1);
    hub.send({ jsonrpc: '2.0', method: '$/cancelRequest', params: { id: 'a' } });
    expect(await hub.next()).toMatchObject({
      id: 'a',
      error: { data: { name: 'COMMAND_CANCELLED' } },
    });
  });

  it('serves no id twice: it answers once more, until the hub has stored the answer', async () => {
    const { hub, commands } = await start(echo);
    await hub.call('a', 'x');
    expect(await hub.call('a', 'y')).toMatchObject({ result: { method: 'x' } });
    hub.send({ jsonrpc: '2.0', method: '$/stored', params: { ids: ['a'] } });
    hub.send({ jsonrpc: '2.0', method: '$/stored', params: { ids: 'a' } });
    await hub.call('b', 'x');
    expect(commands.held()).toEqual(['b']);
  });

  it('refuses calls past its limit', async () => {
    const { hub } = await start(untilAborted, { callsMaxCount: 2 });
    for (const id of ['a', 'b', 'c']) hub.request(id, 'x');
    expect(await hub.next()).toMatchObject({
      id: 'c',
      error: { data: { name: 'LIMIT_REACHED', limit: 2 } },
    });
  });

  it('answers frames that are no requests and goes on', async () => {
    const { hub } = await start(echo);
    hub.send('nonsense');
    expect(await hub.next()).toMatchObject({ id: null, error: { code: -32700 } });
    hub.send({ jsonrpc: '2.0', id: 'a' });
    expect(await hub.next()).toMatchObject({ id: 'a', error: { code: -32600 } });
    hub.socket.send(Buffer.from([1, 2, 3]));
    expect(await hub.next()).toMatchObject({ id: null, error: { code: -32600 } });
    hub.send({ jsonrpc: '2.0', id: 'a', result: 1 });
    expect(await hub.call('b', 'x')).toHaveProperty('result');
  });

  it('says so when an answer is larger than a frame may be', async () => {
    const { hub } = await start(async () => 'é'.repeat(60), { frameMaxBytes: 150 });
    expect(await hub.call('a', 'x')).toMatchObject({
      error: { data: { name: 'RESULT_TOO_LARGE', limit: 150 } },
    });
  });

  it('fails a call whose answer is no JSON', async () => {
    const { hub } = await start(async () => 1n);
    expect(await hub.call('a', 'x')).toMatchObject({ error: { data: { name: 'INTERNAL_ERROR' } } });
  });

  it('does what follows an answer once it is sent, and not if the call fails', async () => {
    const done: string[] = [];
    const { hub, session } = await start(async (method, _params, { afterAnswer }) => {
      afterAnswer(() => {
        done.push(method);
        hub.socket.close(1000);
      });
      if (method === 'fails') throw new TomoError('NOT_FOUND', 'no');
      return 'answer';
    });
    expect(await hub.call('a', 'fails')).toHaveProperty('error');
    expect(await hub.call('b', 'works')).toHaveProperty('result', 'answer');
    await session.closed;
    expect(done).toEqual(['works']);
  });

  it('does what follows an answer even if the socket is gone', async () => {
    const [finish, followed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const { hub, session } = await start(async (_method, _params, { afterAnswer }) => {
      afterAnswer(followed.resolve);
      await finish.promise;
    });
    hub.request('a', 'x');
    hub.send('nonsense');
    await hub.next();
    hub.socket.terminate();
    await session.closed;
    finish.resolve();
    await followed.promise;
  });

  it('hands notifications on that are not about a call', async () => {
    const { hub } = await start(echo);
    hub.send({ jsonrpc: '2.0', method: '$/promoted' });
    await hub.call('a', 'x');
    expect(notified).toEqual(['$/promoted']);
  });

  it('answers the calls under way, and those that cross, before it retires', async () => {
    const release = new Map<string, () => void>();
    const { hub, session } = await start(async (method) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      release.set(method, resolve);
      await promise;
      return method;
    });
    hub.request('a', 'first');
    hub.send('nonsense');
    await hub.next();
    const retired = session.retire(60_000);
    hub.request('b', 'crossed');
    hub.send('nonsense');
    await hub.next();
    release.get('first')?.();
    expect(await hub.next()).toMatchObject({ id: 'a', result: 'first' });
    release.get('crossed')?.();
    expect(await hub.next()).toMatchObject({ id: 'b', result: 'crossed' });
    await retired;
    expect(await session.closed).toHaveProperty('closeCode', 1000);
  });

  it('retires at its limit even if a call goes on', async () => {
    const { hub, session } = await start(async () => await new Promise<never>(() => undefined));
    hub.request('a', 'x');
    hub.send('nonsense');
    await hub.next();
    await session.retire(10);
    expect(await hub.closed).toBe(1000);
  });

  it('lets its calls go on when the socket closes, and tells how it closed', async () => {
    const finish = Promise.withResolvers<string>();
    const { hub, session, commands } = await start(async () => await finish.promise);
    hub.request('a', 'x');
    hub.socket.close(4003, 'superseded');
    expect(await session.closed).toMatchObject({ closeCode: 4003, reason: 'superseded' });
    expect(commands.held()).toEqual(['a']);
    const { hub: next } = await attach(commands);
    finish.resolve('done');
    expect(await next.answer('a')).toMatchObject({ result: 'done' });
  });

  it('aborts its calls when the socket of a hub closes that would not take their answers', async () => {
    const aborted = Promise.withResolvers<unknown>();
    const commands = new RunningCommands({
      dispatch: async (_method, _params, { signal }) => {
        await once(signal, 'abort');
        aborted.resolve(signal.reason);
      },
      log,
    });
    const { hub } = await attach(commands, { confirms: false });
    hub.request('a', 'x');
    hub.socket.close(1012);
    expect(await aborted.promise).toMatchObject({ name: 'CONNECTION_LOST' });
  });

  it('aborts its calls and closes with 1001 when it is disposed of', async () => {
    const { hub, session } = await start(untilAborted);
    hub.request('a', 'x');
    hub.send('nonsense');
    await hub.next();
    const disposed = session[Symbol.asyncDispose]();
    expect(await hub.answer('a')).toMatchObject({ error: { data: { name: 'CONNECTION_LOST' } } });
    expect(await hub.closed).toBe(1001);
    await disposed;
  });

  it('does not wait for a hub that leaves the close unanswered', async () => {
    const { hub, session } = await start(echo);
    hub.socket.pause();
    await session[Symbol.asyncDispose]();
    expect(await session.closed).toHaveProperty('closeCode', 1006);
  });

  it('gives up a socket that brings nothing, not even a pong', async () => {
    const { hub, session } = await start(echo, { silenceMaxMs: 150 });
    hub.socket.pause();
    expect(await session.closed).toHaveProperty('closeCode', 1006);
  });

  it('keeps a socket on which only pongs come', async () => {
    const { hub, session } = await start(echo, { silenceMaxMs: 300 });
    // A ping comes after a third of the limit: ten of them are several limits of silence.
    for (let pings = 0; pings < 10; pings += 1) await once(hub.socket, 'ping');
    expect(await hub.call('a', 'x')).toHaveProperty('result');
    hub.socket.close(1000);
    expect(await session.closed).toHaveProperty('closeCode', 1000);
  });

  it('closes the socket of a hub that breaks the WebSocket protocol', async () => {
    const { hub, session } = await start(echo);
    const stream: unknown = Reflect.get(hub.socket, '_socket');
    // A frame with reserved bits set (RFC 6455, section 5.2).
    (stream as NodeJS.WritableStream).write(Buffer.from([0xf1, 0x00]));
    expect(await session.closed).toHaveProperty('closeCode');
    expect(await hub.closed).toBe(1002);
  });

  it('sends telemetry, but leaves it out while the socket is behind or closed', async () => {
    const { hub, session, socket } = await start(echo, { backlogMaxBytes: 1_000 });
    session.notify('health.status', { status: 'first' });
    expect(await hub.notification('health.status')).toEqual({ status: 'first' });

    hub.socket.pause();
    while (socket.bufferedAmount <= 1_000) socket.send('"x"'.repeat(100_000));
    const behind = socket.bufferedAmount;
    session.notify('health.status', { status: 'left out' });
    expect(socket.bufferedAmount).toBe(behind);

    socket.terminate();
    await session.closed;
    session.notify('health.status', { status: 'left out' });
  });
});
