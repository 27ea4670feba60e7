import { once } from 'node:events';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { TomoError } from '../protocol/errors.ts';
import { eventually } from '../test/support/hub.ts';
import type { Dispatch } from './dispatcher.ts';
import type { Outlet } from './output/outlet.ts';
import { type CommandLimits, RunningCommands } from './running-commands.ts';

type Message = Record<string, unknown>;

const REVOKED = new TomoError('AGENT_REVOKED', 'revoked');
const echo: Dispatch = async (method) => method;
/** Runs until its call is aborted, then fails with the reason. */
const untilAborted: Dispatch = async (_method, _params, { signal }) => {
  if (!signal.aborted) await once(signal, 'abort');
  throw signal.reason;
};

interface HubOptions {
  readonly confirms?: boolean;
  readonly blocked?: boolean;
  readonly window?: number;
}

/** A hub as the commands see it: what it is sent, and a socket that is free again when a test says so. */
class Hub implements Outlet {
  readonly sent: Message[] = [];
  readonly confirms: boolean;
  readonly streamWindowBytes: number | undefined;
  readonly #blocked: boolean;
  readonly #unsent: (() => void)[] = [];

  constructor({ confirms = true, blocked = false, window }: HubOptions = {}) {
    this.streamWindowBytes = window;
    this.confirms = confirms;
    this.#blocked = blocked;
  }

  readonly send = (text: string, sent: () => void = () => undefined): void => {
    this.sent.push(JSON.parse(text) as Message);
    if (this.#blocked) this.#unsent.push(sent);
    else sent();
  };

  async take(): Promise<void> {
    for (const sent of this.#unsent.splice(0)) sent();
    await settled();
  }

  get ids(): unknown[] {
    return this.sent.map(({ id }) => id);
  }
}

function start(dispatch: Dispatch, limits: Partial<CommandLimits> = {}): RunningCommands {
  return new RunningCommands({ dispatch, log: pino({ level: 'silent' }), limits });
}

function request(commands: RunningCommands, id: string, method = 'x'): void {
  commands.start({ jsonrpc: '2.0', id, method, params: {} });
}

async function settled(): Promise<void> {
  await new Promise(setImmediate);
}

describe('RunningCommands', () => {
  it('go on without a hub, and the next one gets their answers', async () => {
    const finish = Promise.withResolvers<string>();
    const commands = start(async () => await finish.promise);
    const [first, second] = [new Hub(), new Hub()];
    const detach = commands.attach(first);
    request(commands, 'a');
    detach();
    finish.resolve('done');
    await commands.idle();
    expect(commands.held()).toEqual(['a']);
    commands.attach(second);
    await settled();
    expect(first.sent).toEqual([]);
    expect(second.sent).toEqual([{ jsonrpc: '2.0', id: 'a', result: 'done' }]);
  });

  it('refuse what comes by the outlet that the agent leaves, and nothing that comes by the next', async () => {
    const commands = start(echo);
    const [first, second] = [new Hub(), new Hub()];
    const by = (hub: Hub, id: string): void => {
      commands.start({ jsonrpc: '2.0', id, method: 'x', params: {} }, hub);
    };
    const detach = commands.attach(first);
    const stay = commands.leave();
    by(first, 'refused');
    expect(first.sent).toMatchObject([
      { id: 'refused', error: { data: { name: 'LIMIT_REACHED' } } },
    ]);
    expect(commands.held()).toEqual([]);
    stay();
    by(first, 'taken');
    expect(commands.held()).toEqual(['taken']);
    commands.leave();
    commands.attach(second);
    by(first, 'too late');
    by(second, 'at once');
    expect(commands.held()).toEqual(['taken', 'at once']);
    detach();
    await settled();
    expect(second.sent).toContainEqual({ jsonrpc: '2.0', id: 'at once', result: 'x' });
  });

  it('keep an answer that was sent until the hub has stored it', async () => {
    const commands = start(echo);
    const [first, second] = [new Hub(), new Hub()];
    const detach = commands.attach(first);
    request(commands, 'a');
    request(commands, 'b');
    await commands.idle();
    commands.stored(['a', 'unknown']);
    detach();
    commands.attach(second);
    await settled();
    expect(first.ids).toEqual(['a', 'b']);
    expect(second.ids).toEqual(['b']);
    expect(commands.held()).toEqual(['b']);
  });

  it('name those that run before those that are answered', async () => {
    const commands = start(async (method, params, context) =>
      method === 'slow' ? await untilAborted(method, params, context) : method,
    );
    commands.attach(new Hub());
    request(commands, 'quick');
    await commands.idle();
    request(commands, 'running', 'slow');
    expect(commands.held()).toEqual(['running', 'quick']);
  });

  it('answer a command that comes again once more, without starting it twice', async () => {
    let runs = 0;
    const commands = start(async () => (runs += 1));
    const hub = new Hub();
    commands.attach(hub);
    request(commands, 'a');
    await commands.idle();
    request(commands, 'a');
    await commands.idle();
    expect(runs).toBe(1);
    expect(hub.sent).toEqual([
      { jsonrpc: '2.0', id: 'a', result: 1 },
      { jsonrpc: '2.0', id: 'a', result: 1 },
    ]);
  });

  it('send held answers one at a time, and none to a hub that is gone', async () => {
    const commands = start(echo);
    for (const id of ['a', 'b', 'c']) request(commands, id);
    await commands.idle();
    const hub = new Hub({ blocked: true });
    const detach = commands.attach(hub);
    expect(hub.ids).toEqual(['a']);
    commands.stored(['b']);
    await hub.take();
    expect(hub.ids).toEqual(['a', 'c']);

    detach();
    const other = new Hub({ blocked: true });
    const leave = commands.attach(other);
    leave();
    await other.take();
    expect(other.ids).toEqual(['a']);
  });

  it('answer the hub that came last, also when an older one goes after it came', async () => {
    const commands = start(echo);
    const [older, newer] = [new Hub(), new Hub()];
    const detach = commands.attach(older);
    commands.attach(newer);
    detach();
    request(commands, 'a');
    await commands.idle();
    expect(older.sent).toEqual([]);
    expect(newer.ids).toEqual(['a']);
  });

  it('drop the oldest answers past the count, those that run included, and past the bytes', async () => {
    const commands = start(
      async (method, params, context) =>
        method === 'slow' ? await untilAborted(method, params, context) : 'x'.repeat(100),
      { heldMaxCount: 3, heldMaxBytes: 400 },
    );
    for (const id of ['a', 'b', 'c']) request(commands, id);
    await commands.idle();
    // Each takes about 140 bytes.
    expect(commands.held()).toEqual(['b', 'c']);
    for (const id of ['d', 'e']) request(commands, id, 'slow');
    expect(commands.held()).toEqual(['d', 'e', 'c']);
  });

  it('send no held answer before its output, which a cancel throws away', async () => {
    const commands = new RunningCommands({
      dispatch: async (_method, _params, { output }) => {
        await output.write('stdout', Buffer.from('one'));
        await output.write('stderr', Buffer.from('two'));
      },
      streamsOf: () => 'lossless',
      log: pino({ level: 'silent' }),
    });
    const detach = commands.attach(new Hub({ window: 1_000 }));
    request(commands, 'a');
    request(commands, 'b');
    await commands.idle();
    detach();
    // One that takes less, and whose reader has gone.
    const hub = new Hub({ window: 1 });
    commands.attach(hub);
    await settled();
    expect(hub.sent.map(({ params }) => params)).toMatchObject([
      { id: 'a', data: 'one' },
      { id: 'b', data: 'one' },
    ]);
    commands.cancel('a');
    commands.acknowledged('b', 3);
    await settled();
    expect(hub.sent.slice(2)).toMatchObject([
      { params: { id: 'b', data: 'two' } },
      { id: 'a', result: null },
      { id: 'b', result: null },
    ]);
  });

  it('end with the socket of a hub that confirms nothing, and keep nothing for it', async () => {
    const commands = start(async (method, params, context) =>
      method === 'slow' ? await untilAborted(method, params, context) : method,
    );
    request(commands, 'of an earlier hub');
    await commands.idle();
    const hub = new Hub({ confirms: false });
    const detach = commands.attach(hub);
    request(commands, 'a');
    await commands.idle();
    expect(hub.ids).toEqual(['a']);
    expect(commands.held()).toEqual([]);
    request(commands, 'b', 'slow');
    detach();
    await commands.idle();
    expect(commands.held()).toEqual([]);
  });

  it('are aborted all at once, and nothing is kept of them', async () => {
    const commands = start(async (method, params, context) =>
      method === 'slow' ? await untilAborted(method, params, context) : method,
    );
    const hub = new Hub();
    commands.attach(hub);
    request(commands, 'quick');
    await commands.idle();
    request(commands, 'slow', 'slow');
    commands.abortAll(REVOKED);
    await commands.idle();
    expect(hub.sent.at(-1)).toMatchObject({
      id: 'slow',
      error: { data: { name: 'AGENT_REVOKED' } },
    });
    expect(commands.held()).toEqual([]);
    commands.attach(new Hub());
    request(commands, 'later');
    await commands.idle();
    expect(commands.held()).toEqual(['later']);
  });

  it('are told of the end of the process, whatever their handlers make of it', async () => {
    const commands = start(async (_method, _params, { signal }) => {
      await once(signal, 'abort');
      throw new TomoError('COMMAND_CANCELLED', 'Half of it was done.');
    });
    const hub = new Hub();
    commands.attach(hub);
    request(commands, 'a');
    request(commands, 'b');
    commands.cancel('b');
    await eventually(() => expect(hub.ids).toEqual(['b']));
    await commands[Symbol.asyncDispose]();
    expect(hub.sent).toMatchObject([
      { id: 'b', error: { message: 'Half of it was done.', data: { name: 'COMMAND_CANCELLED' } } },
      {
        id: 'a',
        error: {
          message: expect.stringMatching(/process ended.*before you repeat it.*Half of it/),
          data: { name: 'CONNECTION_LOST' },
        },
      },
    ]);
  });

  it('are not waited for at the end of the process if they do not end', async () => {
    const commands = start(async () => await new Promise<never>(() => undefined));
    request(commands, 'a');
    await commands[Symbol.asyncDispose]();
    expect(commands.held()).toEqual(['a']);
  });

  it('refuse an answer that the hub would not take', async () => {
    const deep = JSON.parse(`${'['.repeat(80)}${']'.repeat(80)}`) as unknown;
    const commands = start(async (method) => (method === 'deep' ? deep : 'é'.repeat(60)), {
      frameMaxBytes: 200,
    });
    const hub = new Hub();
    commands.attach(hub);
    request(commands, 'a', 'deep');
    request(commands, 'b', 'large');
    await commands.idle();
    expect(hub.sent).toMatchObject([
      { id: 'a', error: { data: { name: 'RESULT_TOO_LARGE', excess: 'depth' } } },
      { id: 'b', result: 'é'.repeat(60) },
    ]);
  });
});
