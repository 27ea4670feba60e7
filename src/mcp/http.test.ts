import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MCP_SESSION_IDLE_MAX_MS, MCP_SESSIONS_MAX_COUNT } from '../../protocol/limits.ts';
import { capturedLog } from '../../test/support/captured-log.ts';
import { initialize, type RawSession, rawSession } from '../../test/support/mcp-session.ts';
import { type Caller, CallerGone, type Fleet } from '../fleet/fleet.ts';
import type { TokenHolder } from './access-tokens.ts';
import { McpHttp } from './http.ts';

const HOLDER: TokenHolder = { actor: 'token:one', access: 'admin' };
const LIST = { name: 'list_agents', arguments: {} };

let stops: (() => Promise<void> | void)[] = [];
let match: (authorization: string | undefined) => TokenHolder | undefined;
let callers: Caller[] = [];
let perform: () => Promise<never>;

beforeEach(() => {
  match = (authorization) => (authorization === 'Bearer one' ? HOLDER : undefined);
  callers = [];
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the one operation that is asked for
  perform = () => Promise.resolve({ agents: [] } as never);
});
afterEach(async () => {
  vi.useRealTimers();
  for (const stop of stops.toReversed()) await stop();
  stops = [];
});

/** An endpoint whose fleet has no agents and whose accepted tokens a test decides. */
async function start() {
  const fleet: Fleet = {
    perform: (_name, _args, caller) => {
      callers.push(caller);
      return perform();
    },
  };
  const { log, lines } = capturedLog();
  const mcp = new McpHttp({
    fleet,
    tokens: { match: (authorization) => match(authorization), accepts: () => true },
    giveUpRuns: () => undefined,
    ceiling: 'operate',
    hostNames: ['127.0.0.1'],
    clientAddress: (request) => String(request.headers['x-client']),
    log,
  });
  const server = createServer((request, response) => void mcp.handle(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  stops.push(async () => {
    await mcp[Symbol.asyncDispose]();
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${port}`, lines };
}

async function statusOf(session: RawSession): Promise<number> {
  const response = await session.send('tools/list', {});
  await response.text();
  return response.status;
}

describe('McpHttp', () => {
  it('calls the fleet for whom each request is from, within the server’s own ceiling', async () => {
    const { url } = await start();
    const session = await rawSession(url, 'one');
    for (const address of ['192.0.2.1', '192.0.2.2']) {
      await (await session.send('tools/call', LIST, { 'X-Client': address })).text();
    }
    match = () => ({ ...HOLDER, access: 'read' });
    await (await session.send('tools/call', LIST, { 'X-Client': '192.0.2.3' })).text();
    const { actor } = HOLDER;
    expect(callers).toMatchObject([
      { actor, access: 'operate', origin: '192.0.2.1' },
      { actor, access: 'operate', origin: '192.0.2.2' },
      { actor, access: 'read', origin: '192.0.2.3' },
    ]);
  });

  it('ends the sessions of a token that is no longer accepted, and no others', async () => {
    match = () => HOLDER;
    const { url } = await start();
    const [one, two] = [await rawSession(url, 'one'), await rawSession(url, 'two')];
    match = (authorization) => (authorization === 'Bearer two' ? HOLDER : undefined);
    expect(await statusOf(one)).toBe(401);
    await vi.waitFor(async () => {
      // Accepted again for one request, it is unknown once the endpoint has looked.
      const strict = match;
      match = () => HOLDER;
      const status = await statusOf(one);
      match = strict;
      expect(status).toBe(404);
    }, 10_000);
    expect(await statusOf(two)).toBe(200);
  });

  it('keeps sessions while it cannot see which tokens are accepted, and says so', async () => {
    const { url, lines } = await start();
    const session = await rawSession(url, 'one');
    const before = match;
    match = () => {
      throw new Error('too many open files');
    };
    await vi.waitFor(() => {
      expect(lines).toContainEqual(
        expect.objectContaining({ level: 40, msg: expect.stringContaining('MCP tokens') }),
      );
    }, 10_000);
    match = before;
    expect(await statusOf(session)).toBe(200);
  });

  it('takes callers for gone, and their commands not for cancelled, when their sessions end', async () => {
    const { url } = await start();
    perform = () => new Promise(() => undefined);
    const session = await rawSession(url, 'one');
    session.send('tools/call', LIST).catch(() => undefined);
    await vi.waitFor(() => expect(callers).toHaveLength(1));
    // Also if it cannot be seen whether the token is accepted still.
    match = () => {
      throw new Error('too many open files');
    };
    await stops.pop()?.();
    expect(callers[0]?.signal?.reason).toBeInstanceOf(CallerGone);
  });

  it('takes a call for cancelled when its token is removed', async () => {
    const { url } = await start();
    perform = () => new Promise(() => undefined);
    const session = await rawSession(url, 'one');
    session.send('tools/call', LIST).catch(() => undefined);
    await vi.waitFor(() => expect(callers).toHaveLength(1));
    match = () => undefined;
    await vi.waitFor(() => expect(callers[0]?.signal?.aborted).toBe(true), 10_000);
    expect(callers[0]?.signal?.reason).not.toBeInstanceOf(CallerGone);
  });

  it('closes the session that was unused for longest when there are too many', async () => {
    const { url } = await start();
    const [first, second] = [await rawSession(url, 'one'), await rawSession(url, 'one')];
    expect(await statusOf(first)).toBe(200);
    for (let count = 2; count <= MCP_SESSIONS_MAX_COUNT; count += 1) await rawSession(url, 'one');
    expect(await statusOf(second)).toBe(404);
    expect(await statusOf(first)).toBe(200);
  });

  it('lets no token close the sessions of others: the one that has most gives way', async () => {
    match = () => HOLDER;
    const { url } = await start();
    const admin = await rawSession(url, 'admin');
    const greedy = await rawSession(url, 'greedy');
    for (let count = 2; count <= MCP_SESSIONS_MAX_COUNT; count += 1) {
      await rawSession(url, 'greedy');
    }
    expect(await statusOf(admin)).toBe(200);
    expect(await statusOf(greedy)).toBe(404);
    expect(await statusOf(await rawSession(url, 'third'))).toBe(200);
    expect(await statusOf(admin)).toBe(200);
  });

  it('closes no session with a request under way, and opens none if all have one', async () => {
    const { url } = await start();
    const busy = Promise.withResolvers<void>();
    const finish = Promise.withResolvers<never>();
    let underWay = 0;
    perform = () => {
      underWay += 1;
      if (underWay === MCP_SESSIONS_MAX_COUNT) busy.resolve();
      return finish.promise;
    };
    const sessions: RawSession[] = [];
    const calls: Promise<unknown>[] = [];
    const impatient = await rawSession(url, 'one');
    const gone = new AbortController();
    const left = impatient.send('tools/call', LIST, {}, gone.signal);
    for (let count = 1; count < MCP_SESSIONS_MAX_COUNT; count += 1) {
      const session = await rawSession(url, 'one');
      sessions.push(session);
      calls.push(session.send('tools/call', LIST).then((answer) => answer.text()));
    }
    await busy.promise;
    const refused = await initialize(url, 'one');
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ id: null, error: { code: -32_000 } });
    // A client that went away waits for nothing.
    gone.abort();
    await expect(left).rejects.toThrow();
    await vi.waitFor(async () => expect((await initialize(url, 'one')).status).toBe(200));
    expect(await statusOf(impatient)).toBe(404);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the one operation that is asked for
    finish.resolve({ agents: [] } as never);
    await Promise.all(calls);
    for (const session of sessions) expect(await statusOf(session)).toBe(200);
  });

  it('closes a session that nobody uses any more', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    const { url } = await start();
    const session = await rawSession(url, 'one');
    vi.advanceTimersByTime(MCP_SESSION_IDLE_MAX_MS / 2);
    expect(await statusOf(session)).toBe(200);
    vi.advanceTimersByTime(MCP_SESSION_IDLE_MAX_MS + 120_000);
    await vi.waitFor(async () => expect(await statusOf(session)).toBe(404));
  });
});
