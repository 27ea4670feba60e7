import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TomoError } from '../../protocol/errors.ts';
import { PIECE_MAX_BYTES } from '../../protocol/limits.ts';
import {
  type Message,
  type Piece,
  paramsOf,
  StreamingAgents,
  untilAnswered,
} from '../../test/support/streaming-agents.ts';

let agents: StreamingAgents;
beforeEach(async () => {
  agents = await StreamingAgents.start();
});
afterEach(async () => {
  await agents[Symbol.asyncDispose]();
});

describe('a large result', () => {
  const large = { text: `${'é漢😀"\\\n'.repeat(600_000)}` };

  /** The result that came in pieces before the answer to `id`. */
  function joined(messages: readonly Message[], id: string): unknown {
    const pieces = paramsOf(messages).filter((params) => params['id'] === id);
    expect(messages.at(-1)).toEqual({ jsonrpc: '2.0', id, result: null, pieces: pieces.length });
    for (const [index, piece] of pieces.entries()) {
      const { seq, stream, data } = piece as unknown as Piece;
      expect([seq, stream]).toEqual([index, 'result']);
      expect(Buffer.byteLength(data)).toBeLessThanOrEqual(PIECE_MAX_BYTES);
      expect(data.isWellFormed()).toBe(true);
    }
    return JSON.parse(pieces.map(({ data }) => data).join(''));
  }

  it('comes in pieces, with the answers of other commands between them', async () => {
    const { hub, commands } = await agents.start({ 'none x': async () => large });
    hub.request('a', 'none x');
    const before = [await hub.next()];
    hub.request('b', 'none y');
    const between = await untilAnswered(hub, 'b');
    expect(between.at(-1)).toHaveProperty('result', 'answer of none y');
    const after = await untilAnswered(hub, 'a');
    const messages = [...before, ...between, ...after];
    expect(paramsOf(after).length).toBeGreaterThan(10);
    expect(JSON.stringify(large).length).toBeGreaterThan(5 * 1024 * 1024);
    expect(joined(messages, 'a')).toEqual(large);
    await commands.idle();
  });

  it('comes whole up to the size of a piece, and so do errors of any size', async () => {
    const { hub } = await agents.start({
      'none x': async () => 'x'.repeat(PIECE_MAX_BYTES - 100),
      'none y': async () => {
        throw new TomoError('CONFLICT', 'no', { facts: { why: 'x'.repeat(PIECE_MAX_BYTES) } });
      },
    });
    expect(await hub.call('a', 'none x')).not.toHaveProperty('pieces');
    hub.request('b', 'none y');
    expect(await hub.next()).toMatchObject({ id: 'b', error: { code: 1203 } });
  });

  it('is sent again from the beginning when the socket was cut in its midst', async () => {
    const { hub, session, commands } = await agents.start({ 'none x': async () => large });
    hub.request('a', 'none x');
    for (let count = 0; count < 3; count += 1) await hub.next();
    hub.socket.terminate();
    await session.closed;
    const { hub: next } = await agents.attach(commands);
    const messages = await untilAnswered(next, 'a');
    expect(joined(messages, 'a')).toEqual(large);
    expect(commands.held()).toEqual(['a']);
  });

  it('asked for again on its way comes once, and once more when it has arrived', async () => {
    const { hub } = await agents.start({ 'none x': async () => large });
    hub.request('a', 'none x');
    const first = [await hub.next()];
    hub.request('a', 'none x');
    first.push(...(await untilAnswered(hub, 'a')));
    expect(joined(first, 'a')).toEqual(large);
    hub.request('a', 'none x');
    expect(joined(await untilAnswered(hub, 'a'), 'a')).toEqual(large);
  });

  it('waits for others where together they are more than the hub keeps', async () => {
    const huge = 'x'.repeat(9 * 1024 * 1024);
    const { hub } = await agents.start({ 'none x': async () => huge, 'none y': async () => large });
    for (const id of ['a', 'b', 'c']) hub.request(id, id === 'c' ? 'none y' : 'none x');
    const begun = new Map<string, number>();
    for (let under = 0, answers = 0; answers < 3; ) {
      const message = await hub.next();
      const id = String(message['id'] ?? (message['params'] as Message)['id']);
      if (!begun.has(id)) {
        begun.set(id, 1);
        under += id === 'c' ? 5 : 9;
      }
      expect(under).toBeLessThan(16);
      if (message['pieces'] === undefined) continue;
      under -= id === 'c' ? 5 : 9;
      answers += 1;
    }
    expect([...begun.keys()]).toEqual(['a', 'b', 'c']);
  });

  it('is answered in full before a retiring session closes', async () => {
    const { hub, session } = await agents.start({ 'none x': async () => large });
    hub.request('a', 'none x');
    const first = await hub.next();
    const retired = session.retire(60_000);
    const rest = await untilAnswered(hub, 'a');
    await retired;
    expect(joined([first, ...rest], 'a')).toEqual(large);
  });
});
