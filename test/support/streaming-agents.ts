import { once } from 'node:events';
import { pino } from 'pino';
import { WebSocket } from 'ws';
import type { CommandContext } from '../../agent/commands/handler.ts';
import { Session } from '../../agent/connection/session.ts';
import type { OutputTimings } from '../../agent/output/command-output.ts';
import { RunningCommands } from '../../agent/running-commands.ts';
import type { Streams } from '../../protocol/commands/define-command.ts';
import { PIECE_MAX_BYTES, STREAM_WINDOW_BYTES } from '../../protocol/limits.ts';
import { type HubSocket, HubStandIn } from './hub-stand-in.ts';

export type Message = Record<string, unknown>;
type Work = (context: CommandContext) => Promise<unknown>;

/** A piece of output or of a result, as it comes. */
export interface Piece {
  readonly seq: number;
  readonly at: number;
  readonly stream: string;
  readonly data: string;
}

/** The largest piece there is. */
export const PIECE = Buffer.alloc(PIECE_MAX_BYTES, 'x');

const log = pino({ level: 'silent' });

/** Commands whose methods are what `works` says; a method's name begins with how it streams. */
export function commandsOf(works: Record<string, Work>, timings: Partial<OutputTimings> = {}) {
  return new RunningCommands({
    dispatch: async (method, _params, context) => {
      const work = works[method];
      return work === undefined ? `answer of ${method}` : await work(context);
    },
    streamsOf: (method) => method.split(' ')[0] as Streams,
    log,
    timings: { newestMs: 20, stepMs: 20, ...timings },
  });
}

/** A bare hub, and agents that are nothing but commands and a session. */
export class StreamingAgents implements AsyncDisposable {
  readonly #hubs: HubStandIn;

  private constructor(hubs: HubStandIn) {
    this.#hubs = hubs;
  }

  static async start(): Promise<StreamingAgents> {
    return new StreamingAgents(await HubStandIn.start());
  }

  /** A socket of these commands to a hub that takes their messages, or does not. */
  async attach(commands: RunningCommands, { streams = true }: { streams?: boolean } = {}) {
    const socket = new WebSocket(this.#hubs.url);
    await once(socket, 'open');
    const streamWindowBytes = streams ? STREAM_WINDOW_BYTES : undefined;
    const rest = { confirms: true, log, onNotification: () => undefined };
    const session = new Session(socket, { commands, streamWindowBytes, ...rest });
    return { hub: await this.#hubs.accept(), session, socket };
  }

  async start(works: Record<string, Work>, timings: Partial<OutputTimings> = {}) {
    const commands = commandsOf(works, timings);
    return { commands, ...(await this.attach(commands)) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#hubs[Symbol.asyncDispose]();
  }
}

export function notify(hub: HubSocket, method: string, params: Message): void {
  hub.send({ jsonrpc: '2.0', method, params });
}

export async function nextPiece(hub: HubSocket): Promise<Piece> {
  return (await hub.notification('$/progress')) as unknown as Piece;
}

/** Everything up to the answer to `id`, that included. */
export async function untilAnswered(hub: HubSocket, id: string): Promise<Message[]> {
  const messages: Message[] = [];
  for (;;) {
    const message = await hub.next();
    messages.push(message);
    if (message['id'] === id) return messages;
  }
}

export function paramsOf(messages: readonly Message[]): Message[] {
  return messages.flatMap(({ params }) => (params === undefined ? [] : [params as Message]));
}
