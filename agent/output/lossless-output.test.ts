import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TomoError } from '../../protocol/errors.ts';
import { PIECE_MAX_BYTES } from '../../protocol/limits.ts';
import type { HubSocket } from '../../test/support/hub-stand-in.ts';
import {
  commandsOf,
  nextPiece,
  notify,
  PIECE,
  type Piece,
  paramsOf,
  StreamingAgents,
  untilAnswered,
} from '../../test/support/streaming-agents.ts';
import type { CommandContext, CommandOutput } from '../commands/handler.ts';

let agents: StreamingAgents;
beforeEach(async () => {
  agents = await StreamingAgents.start();
});
afterEach(async () => {
  await agents[Symbol.asyncDispose]();
});

function ack(hub: HubSocket, id: string, bytes: unknown): void {
  notify(hub, '$/ack', { id, bytes });
}

/** Numbered lines, so that what is lost, doubled or out of order shows. */
function numberedLines(from: number, to: number): string {
  let text = '';
  for (let line = from; line < to; line += 1) text += `line ${line} é漢😀\n`;
  return text;
}

async function writeAll(output: CommandOutput, text: string, chunk: number): Promise<void> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += chunk) {
    await output.write('stdout', bytes.subarray(at, at + chunk));
  }
}

describe('output of a command', () => {
  it('comes in the order in which it was written, both streams apart, before the answer', async () => {
    const { hub } = await agents.start({
      'lossless x': async ({ output }) => {
        await output.write('stdout', Buffer.from('one '));
        await output.write('stderr', Buffer.from('zwei '));
        await output.write('stdout', Buffer.from('three'));
        return 'end';
      },
    });
    hub.request('a', 'lossless x');
    const messages = await untilAnswered(hub, 'a');
    expect(paramsOf(messages)).toEqual([
      { id: 'a', seq: 0, stream: 'stdout', data: 'one ', at: 0 },
      { id: 'a', seq: 1, stream: 'stderr', data: 'zwei ', at: 4 },
      { id: 'a', seq: 2, stream: 'stdout', data: 'three', at: 9 },
    ]);
    expect(messages.at(-1)).toEqual({ jsonrpc: '2.0', id: 'a', result: 'end' });
  });

  it('has no character cut, wherever the reads cut it, and shows what is none', async () => {
    const text = numberedLines(0, 300);
    const { hub } = await agents.start({
      'lossless x': async ({ output }) => {
        const bytes = Buffer.from(text);
        for (let at = 0; at < bytes.length; at += 1) {
          await output.write('stdout', bytes.subarray(at, at + 1));
          if (at % 50 === 0) await output.write('stderr', Buffer.from('!'));
        }
        await output.write('stdout', Buffer.from('é').subarray(0, 1));
      },
    });
    hub.request('a', 'lossless x');
    const pieces = paramsOf(await untilAnswered(hub, 'a')) as unknown as Piece[];
    const out = pieces.filter(({ stream }) => stream === 'stdout').map(({ data }) => data);
    expect(out.join('')).toBe(`${text}\uFFFD`);
    let end = 0;
    for (const { at, data } of pieces) {
      expect(at).toBe(end);
      end += Buffer.byteLength(data);
    }
  });

  it('of a lossless command stops at the window, and nothing else does', async () => {
    let written = 0;
    const { hub, commands } = await agents.start({
      'lossless x': async ({ output }) => {
        for (; written < 12; written += 1) await output.write('stdout', PIECE);
      },
    });
    hub.request('a', 'lossless x');
    const first = [];
    for (let count = 0; count < 4; count += 1) first.push(await nextPiece(hub));
    expect(await hub.call('b', 'none y')).toMatchObject({ result: 'answer of none y' });
    expect(written).toBeLessThan(5);
    expect(commands.held()).toEqual(['a', 'b']);

    const places = first.map(({ at }) => at / PIECE_MAX_BYTES);
    while (places.length < 12) {
      ack(hub, 'a', (places.length - 3) * PIECE_MAX_BYTES);
      places.push((await nextPiece(hub)).at / PIECE_MAX_BYTES);
    }
    ack(hub, 'a', 12 * PIECE_MAX_BYTES);
    expect(places).toEqual([...Array.from({ length: 12 }).keys()]);
    expect(await hub.answer('a')).toHaveProperty('result');
  });

  it('of a lossless command is whole and single though sockets are cut in mid-stream', async () => {
    const text = numberedLines(0, 60_000);
    const commands = commandsOf({
      'lossless x': async ({ output }) => {
        await writeAll(output, text, 10_007);
        return 'end';
      },
    });
    let taken = '';
    let takenBytes = 0;
    let { hub, session } = await agents.attach(commands);
    hub.request('a', 'lossless x');
    for (let pieces = 1; ; pieces += 1) {
      const message = await hub.next();
      if (message['id'] === 'a') break;
      const { at, data } = message['params'] as unknown as Piece;
      expect(at).toBeLessThanOrEqual(takenBytes);
      const bytes = Buffer.from(data);
      const fresh = bytes.subarray(Math.min(bytes.length, takenBytes - at));
      taken += fresh.toString();
      takenBytes += fresh.length;
      // What is acknowledged lags behind, and goes to the middle of pieces.
      ack(hub, 'a', Math.max(0, takenBytes - 50_000));
      if (pieces % 7 === 0) {
        hub.socket.terminate();
        await session.closed;
        ({ hub, session } = await agents.attach(commands));
      }
    }
    expect(taken === text).toBe(true);
  });

  it('is sent again as it was, with the held answer behind it, until it is acknowledged', async () => {
    const works = {
      'lossless x': async ({ output }: CommandContext) => {
        await output.write('stdout', Buffer.from('one'));
        await output.write('stderr', Buffer.from('two'));
      },
    };
    const { hub, session, commands } = await agents.start(works);
    hub.request('a', 'lossless x');
    const messages = await untilAnswered(hub, 'a');
    ack(hub, 'a', 3);
    ack(hub, 'a', 'nonsense');
    ack(hub, 'unknown', 3);
    // Answered when the acknowledgements have been read.
    await hub.call('b', 'none y');
    hub.socket.terminate();
    await session.closed;
    const { hub: next } = await agents.attach(commands);
    expect(await next.next()).toEqual(messages[1]);
    expect(await next.answer('a')).toEqual(messages.at(-1));
  });

  it('that nobody is there for waits if it is lossless, and its command with it', async () => {
    const ended: string[] = [];
    const commands = commandsOf({
      'lossless x': async ({ output }) => {
        for (let count = 0; count < 6; count += 1) await output.write('stdout', PIECE);
        ended.push('lossless');
      },
      'newest x': async ({ output }) => {
        for (let count = 0; count < 60; count += 1) await output.write('stdout', PIECE);
        ended.push('newest');
      },
    });
    const first = await agents.attach(commands);
    const { hub, session } = first;
    hub.socket.pause();
    first.socket.terminate();
    await session.closed;
    commands.start({ jsonrpc: '2.0', id: 'a', method: 'lossless x', params: {} });
    commands.start({ jsonrpc: '2.0', id: 'b', method: 'newest x', params: {} });
    const { hub: next } = await agents.attach(commands);
    expect(ended).toEqual(['newest']);
    for (let count = 1; count <= 6; count += 1) {
      expect(await nextPiece(next)).toMatchObject({ at: (count - 1) * PIECE_MAX_BYTES });
      ack(next, 'a', count * PIECE_MAX_BYTES);
    }
    expect(await next.answer('a')).toHaveProperty('result');
    expect(ended).toEqual(['newest', 'lossless']);
  });

  it('of a command that has none goes nowhere, nor what is written after its end', async () => {
    let kept: CommandOutput | undefined;
    const { hub } = await agents.start({
      'none x': async ({ output }) => {
        await output.write('stdout', PIECE);
      },
      'lossless x': async ({ output }) => {
        kept = output;
      },
    });
    hub.request('a', 'none x');
    expect(await hub.next()).toMatchObject({ id: 'a' });
    hub.request('b', 'lossless x');
    expect(await hub.next()).toMatchObject({ id: 'b' });
    await kept?.write('stdout', PIECE);
    kept?.progress('too late');
    expect(await hub.call('c', 'none y')).toHaveProperty('result');
  });

  it('comes at once when it is the first, then many small pieces together', async () => {
    const [go, end] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const { hub } = await agents.start({
      'lossless x': async ({ output }) => {
        await output.write('stdout', Buffer.from('first\n'));
        await go.promise;
        for (let line = 0; line < 1_000; line += 1) {
          await output.write('stdout', Buffer.from(`line ${line}\n`));
          await new Promise(setImmediate);
        }
        await end.promise;
      },
    });
    hub.request('a', 'lossless x');
    expect(await nextPiece(hub)).toMatchObject({ seq: 0, data: 'first\n' });
    go.resolve();
    let last = await nextPiece(hub);
    while (!last.data.includes('line 999')) last = await nextPiece(hub);
    // Not a message for each line, whatever the machine's pace.
    expect(last.seq).toBeLessThan(200);
    end.resolve();
    await hub.answer('a');
  });

  it('frees a command that waits for room when it is cancelled, and what is unsent is not sent', async () => {
    const caught = Promise.withResolvers<unknown>();
    const { hub } = await agents.start({
      'lossless x': async ({ output }) => {
        try {
          for (;;) await output.write('stdout', PIECE);
        } catch (error) {
          caught.resolve(error);
          // As a source does that notices late.
          await output.write('stdout', PIECE).catch(() => undefined);
          throw error;
        }
      },
    });
    hub.request('a', 'lossless x');
    for (let count = 0; count < 4; count += 1) await nextPiece(hub);
    notify(hub, '$/cancelRequest', { id: 'a' });
    expect(await caught.promise).toMatchObject({ name: 'COMMAND_CANCELLED' });
    expect(await hub.next()).toMatchObject({
      id: 'a',
      error: { data: { name: 'COMMAND_CANCELLED' } },
    });
  });

  it('that cannot be sent is waited for after the end of its command, until that is aborted', async () => {
    const done = Promise.withResolvers<void>();
    const commands = commandsOf({
      'lossless x': async ({ output }) => {
        await output.write('stdout', Buffer.from('unsent'));
        done.resolve();
      },
    });
    commands.start({ jsonrpc: '2.0', id: 'a', method: 'lossless x', params: {} });
    await done.promise;
    await new Promise(setImmediate);
    expect(commands.held()).toEqual(['a']);
    commands.abortAll(new TomoError('AGENT_REVOKED', 'over'));
    await commands.idle();
    expect(commands.held()).toEqual([]);
  });

  it('comes before the error of a command that fails', async () => {
    const { hub } = await agents.start({
      'lossless x': async ({ output }) => {
        await output.write('stderr', Buffer.from('why'));
        throw new TomoError('CONFLICT', 'no');
      },
    });
    hub.request('a', 'lossless x');
    expect(await hub.next()).toMatchObject({ params: { data: 'why' } });
    expect(await hub.next()).toMatchObject({ id: 'a', error: { data: { name: 'CONFLICT' } } });
  });
});
