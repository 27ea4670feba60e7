import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TomoError } from '../../protocol/errors.ts';
import { PIECE_MAX_BYTES, STREAM_WINDOW_BYTES } from '../../protocol/limits.ts';
import {
  commandsOf,
  nextPiece,
  notify,
  PIECE,
  StreamingAgents,
} from '../../test/support/streaming-agents.ts';

let agents: StreamingAgents;
beforeEach(async () => {
  agents = await StreamingAgents.start();
});
afterEach(async () => {
  await agents[Symbol.asyncDispose]();
});

/** Bytes that are not garbage. */
function heldMemory(): number {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect === 'function') collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

describe('output of a newest command', () => {
  it('is dropped from the oldest on, which its positions say', async () => {
    const finish = Promise.withResolvers<void>();
    const { hub } = await agents.start({
      'newest x': async ({ output }) => {
        for (let count = 0; count < 100; count += 1) {
          await output.write('stdout', Buffer.alloc(PIECE_MAX_BYTES, String(count % 10)));
        }
        await finish.promise;
      },
    });
    hub.request('a', 'newest x');
    const pieces = [];
    for (let count = 0; count < 4; count += 1) pieces.push(await nextPiece(hub));
    expect(pieces.map(({ at }) => at / PIECE_MAX_BYTES)).toEqual([96, 97, 98, 99]);
    expect(pieces.map(({ data }) => data[0])).toEqual(['6', '7', '8', '9']);
    finish.resolve();
    await hub.answer('a');
  });

  it('that goes on comes at intervals', async () => {
    const { hub } = await agents.start({
      'newest x': async ({ output, signal }) => {
        while (!signal.aborted) {
          await output.write('stdout', Buffer.alloc(1_000));
          await new Promise(setImmediate);
        }
        throw signal.reason;
      },
    });
    hub.request('a', 'newest x');
    let end = 0;
    for (let count = 0; count < 5; count += 1) {
      const { seq, at, data } = await nextPiece(hub);
      expect(seq).toBe(count);
      expect(at).toBeGreaterThanOrEqual(end);
      end = at + data.length;
    }
    notify(hub, '$/cancelRequest', { id: 'a' });
    expect(await hub.answer('a')).toMatchObject({ error: { data: { name: 'COMMAND_CANCELLED' } } });
  });

  it('does not come at all if its command ends before it is sent', async () => {
    const { hub } = await agents.start(
      {
        'newest x': async ({ output }) => {
          await output.write('stdout', Buffer.from('short'));
          output.progress('almost there', 0.9);
          return 'short';
        },
      },
      { newestMs: 60_000, stepMs: 60_000 },
    );
    hub.request('a', 'newest x');
    expect(await hub.next()).toMatchObject({ id: 'a', result: 'short' });
  });

  it('takes bounded memory with a hub that never reads nor acknowledges', async () => {
    const { hub, socket, commands } = await agents.start(
      {
        'newest x': async ({ output }) => {
          for (let count = 0; count < 400; count += 1) {
            await output.write('stdout', PIECE);
            await new Promise(setImmediate);
          }
        },
        'lossless x': async ({ output }) => {
          for (;;) await output.write('stdout', Buffer.from(PIECE));
        },
      },
      { newestMs: 1 },
    );
    for (let count = 0; count < 20; count += 1) hub.request(`n${count}`, 'newest x');
    for (let count = 0; count < 20; count += 1) hub.request(`l${count}`, 'lossless x');
    hub.send('nonsense');
    await hub.answer(null);
    hub.socket.pause();
    const before = heldMemory();
    let most = 0;
    while (commands.held().indexOf('l0') > 0) {
      most = Math.max(most, socket.bufferedAmount);
      await new Promise(setImmediate);
    }
    // One piece of each command at most, with what its message takes beside it.
    expect(most).toBeLessThan(40 * (PIECE_MAX_BYTES + 1_000));
    // 512 MiB were written; each command may keep 256 KiB and what was written last.
    expect(heldMemory() - before).toBeLessThan(40 * (STREAM_WINDOW_BYTES + 2 * PIECE_MAX_BYTES));
    commands.abortAll(new TomoError('AGENT_REVOKED', 'over'));
    await commands.idle();
  });
});

describe('steps and signs of life', () => {
  it('come at intervals, of several steps the last', async () => {
    const [go, end] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const { hub } = await agents.start({
      'none x': async ({ output }) => {
        for (let layer = 0; layer <= 10; layer += 1) output.progress(`layer ${layer}`, layer / 20);
        await go.promise;
        output.progress('more than all', 7);
        output.progress('x'.repeat(10_000), Number.NaN);
        await end.promise;
      },
    });
    hub.request('a', 'none x');
    expect(await nextPiece(hub)).toEqual({ id: 'a', seq: 0, data: 'layer 10', fraction: 0.5 });
    go.resolve();
    expect(await nextPiece(hub)).toEqual({ id: 'a', seq: 1, data: 'x'.repeat(500) });
    end.resolve();
    expect(await hub.answer('a')).toHaveProperty('result');
  });

  it('show a share as one of all', async () => {
    const { hub } = await agents.start({
      'none x': async ({ output, signal }) => {
        output.progress('more than all', 7);
        await once(signal, 'abort');
      },
    });
    hub.request('a', 'none x');
    expect(await nextPiece(hub)).toMatchObject({ data: 'more than all', fraction: 1 });
    notify(hub, '$/cancelRequest', { id: 'a' });
    await hub.answer('a');
  });

  it('come from a command that says nothing, or waits for room', async () => {
    const { hub } = await agents.start(
      {
        'lossless x': async ({ output }) => {
          for (;;) await output.write('stdout', PIECE);
        },
      },
      { lifeSignMs: 20 },
    );
    hub.request('a', 'lossless x');
    for (let seq = 0; seq < 4; seq += 1) {
      expect(await nextPiece(hub)).toMatchObject({ seq, stream: 'stdout' });
    }
    for (let seq = 4; seq < 7; seq += 1) expect(await nextPiece(hub)).toEqual({ id: 'a', seq });
    notify(hub, '$/cancelRequest', { id: 'a' });
    await hub.answer('a');
  });
});

describe('a hub that takes no messages of commands', () => {
  it('gets none, and whole results', async () => {
    const ended = Promise.withResolvers<void>();
    const commands = commandsOf(
      {
        'lossless x': async ({ output }) => {
          for (let count = 0; count < 12; count += 1) await output.write('stdout', PIECE);
          output.progress('said to nobody');
          return PIECE.toString().repeat(3);
        },
        'newest x': async ({ output }) => {
          await output.write('stdout', PIECE);
          await ended.promise;
        },
      },
      { lifeSignMs: 5, newestMs: 1 },
    );
    const { hub } = await agents.attach(commands, { streams: false });
    hub.request('b', 'newest x');
    hub.request('a', 'lossless x');
    expect(await hub.next()).toEqual({
      jsonrpc: '2.0',
      id: 'a',
      result: PIECE.toString().repeat(3),
    });
    ended.resolve();
    expect(await hub.next()).toMatchObject({ id: 'b' });
  });

  it('frees a command that had begun at one that does', async () => {
    const { hub, session, commands } = await agents.start({
      'lossless x': async ({ output }) => {
        for (let count = 0; count < 12; count += 1) await output.write('stdout', PIECE);
      },
    });
    hub.request('a', 'lossless x');
    for (let count = 0; count < 4; count += 1) await nextPiece(hub);
    hub.socket.close(1012);
    await session.closed;
    const { hub: older } = await agents.attach(commands, { streams: false });
    expect(await older.next()).toMatchObject({ id: 'a', result: null });
  });
});
