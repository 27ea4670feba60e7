import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { PIECE_MAX_BYTES, UNASKED_ALLOWANCE_MS } from '../../protocol/limits.ts';
import { type FakeAgent, PONG } from '../../test/support/fake-agent.ts';
import { type Joined, startHub, type TestHub } from '../../test/support/hub.ts';
import { streaming } from '../../test/support/streaming-command.ts';
import { AgentDebts } from './agent-debts.ts';
import { UnaskedFrames } from './unasked-frames.ts';

/** Slow to read for its size: parsing it takes several milliseconds. */
const VALUES = `[${'0,'.repeat(200_000)}0]`;
const FRAMES: [title: string, text: string][] = [
  ['notifications', `{"jsonrpc":"2.0","method":"x","params":{"a":${VALUES}}}`],
  ['answers to nothing', `{"jsonrpc":"2.0","id":"nobody","result":${VALUES}}`],
];
const FLOOD_COUNT = 600;
const CALLS_COUNT = 10;
const OWN_BYTES = 64 * 1024;

async function startBoth(): Promise<{ test: TestHub; honest: Joined; greedy: Joined }> {
  const test = await startHub();
  const honest = await test.join('web-1', { protocol: 1 });
  const greedy = await test.join('web-2', { protocol: 1 });
  return { test, honest, greedy };
}

async function ping(test: TestHub, { agent, agentId }: Joined): Promise<void> {
  const call = test.call(agentId);
  agent.answer((await agent.request()).id, PONG);
  await call;
}

/** Whether calls of the other agent complete while the hub reads nothing of the greedy one. */
async function isUnread(test: TestHub, honest: Joined): Promise<boolean> {
  const before = test.bytesRead;
  for (let count = 0; count < CALLS_COUNT; count += 1) await ping(test, honest);
  return test.bytesRead - before < OWN_BYTES;
}

/** Sends without end; resolves when the hub does not read on. False if it read everything. */
async function flooded(test: TestHub, honest: Joined, agent: FakeAgent, text: string) {
  for (let count = 0; count < FLOOD_COUNT; count += 1) agent.send(text);
  while (agent.socket.bufferedAmount > text.length) {
    if (await isUnread(test, honest)) return true;
  }
  return false;
}

describe('an agent that sends more than it was asked for', () => {
  it.each(FRAMES)('is left unread for a while, and the others are served: %s', async (_, text) => {
    const { test, honest, greedy } = await startBoth();
    expect(await flooded(test, honest, greedy.agent, text)).toBe(true);
    expect(test.hub.connected(greedy.agentId)).toBeDefined();
  });

  it('is heard late on its next socket for what it took on the one before', async () => {
    const { test, honest, greedy } = await startBoth();
    expect(await flooded(test, honest, greedy.agent, FRAMES[0]?.[1] ?? '')).toBe(true);
    greedy.agent.cut();
    const { agent } = await test.rejoin(greedy.token, { protocol: 1 });
    await ping(test, { ...greedy, agent });
  });

  it('is left unread for a while likewise: single bytes of a command that runs', async () => {
    const { test, honest, greedy } = await startBoth();
    const { id } = await streaming(test, greedy, 'newest');
    let at = 0;
    let isLeft = false;
    while (!isLeft && at < 1_000_000) {
      for (const end = at + 20_000; at < end; at += 1) put(greedy.agent, { id, at, data: 'x' });
      isLeft = await isUnread(test, honest);
      if (isLeft) expect(greedy.agent.socket.bufferedAmount).toBeGreaterThan(0);
    }
    expect(isLeft).toBe(true);
    expect(test.hub.connected(greedy.agentId)).toBeDefined();
  });

  it('is read on when its output is read', async () => {
    const { test, honest, greedy } = await startBoth();
    const { id } = await streaming(test, greedy);
    const data = 'x'.repeat(PIECE_MAX_BYTES);
    for (let at = 0; at < 400 * data.length; at += data.length) {
      put(greedy.agent, { id, at, data });
      await vi.waitUntil(() => hasRead(test, id, at), { timeout: 20_000, interval: 1 });
    }
    greedy.agent.send('x'.repeat(4 * OWN_BYTES));
    expect(await isUnread(test, honest)).toBe(false);
  });

  it('is read on when it was asked for as much', async () => {
    const { test, honest, greedy } = await startBoth();
    const rows = Array.from({ length: 50_000 }, () => 0);
    for (let count = 0; count < 60; count += 1) {
      const call = test.call(greedy.agentId);
      greedy.agent.answer((await greedy.agent.request()).id, { ...PONG, rows });
      await call;
    }
    greedy.agent.send('x'.repeat(4 * OWN_BYTES));
    expect(await isUnread(test, honest)).toBe(false);
  });
});

describe('a socket of an agent that owes', () => {
  it('is not read at first, whatever socket it is, and then is', async () => {
    const debts = new AgentDebts(() => 0);
    debts.charge('greedy', UNASKED_ALLOWANCE_MS + 10);
    for (let sockets = 0; sockets < 2; sockets += 1) {
      const { frames, socket, client } = await paired('greedy', debts);
      const heard = once(socket, 'message');
      frames.start();
      client.send('late');
      expect(socket.isPaused).toBe(true);
      await heard;
    }
    const { frames, socket } = await paired('honest', debts);
    frames.start();
    expect(socket.isPaused).toBe(false);
  });

  it('takes pings for frames that nobody asked for', async () => {
    const debts = new AgentDebts(() => 0);
    debts.charge('greedy', UNASKED_ALLOWANCE_MS);
    const { frames, socket, client } = await paired('greedy', debts);
    frames.start();
    expect(socket.isPaused).toBe(false);
    client.ping();
    await once(socket, 'ping');
    expect(debts.pauseMs('greedy')).toBeGreaterThan(0);
    await once(client, 'pong');
  });
});

function put(agent: FakeAgent, piece: { id: string; at: number; data: string }): void {
  agent.notify('$/progress', { ...piece, seq: 0, stream: 'stdout' });
}

/** Whether the hub's reader has read on from a place. */
function hasRead(test: TestHub, id: string, offset: number): boolean {
  return test.hub.outputs.read(id, { offset, maxChars: 1 })?.parts.length === 1;
}

/** Both ends of a WebSocket, of which the hub's is not read yet. */
async function paired(agentId: string, debts: AgentDebts) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  onTestFinished(() => {
    for (const each of server.clients) each.terminate();
    server.close();
  });
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const arrival = once(server, 'connection');
  const client = new WebSocket(`ws://127.0.0.1:${port}`);
  const [socket, { socket: stream }] = (await arrival) as [WebSocket, IncomingMessage];
  socket.pause();
  const frames = new UnaskedFrames({ agentId, socket, stream, debts });
  socket.on('message', () => frames.handled(false));
  await once(client, 'open');
  return { frames, socket, client };
}
