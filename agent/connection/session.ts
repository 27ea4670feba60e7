import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type RawData, WebSocket } from 'ws';
import {
  ACK_METHOD,
  ackParamsSchema,
  CANCEL_METHOD,
  cancelParamsSchema,
  encodeError,
  encodeNotification,
  type RpcNotification,
  STORED_METHOD,
  storedParamsSchema,
} from '../../protocol/json-rpc.ts';
import { AGENT_SILENCE_MAX_MS } from '../../protocol/limits.ts';
import type { Outlet } from '../output/outlet.ts';
import type { RunningCommands } from '../running-commands.ts';
import { frameText } from './frame-text.ts';
import { parseHubMessage } from './hub-message.ts';
import { SilenceWatch } from './silence-watch.ts';

export interface SessionLimits {
  readonly silenceMaxMs: number;
  /** Unsent bytes past which telemetry is left out. */
  readonly backlogMaxBytes: number;
}

export interface SessionOptions {
  readonly commands: RunningCommands;
  /** Whether this hub says which answers it has stored: its welcome names `protocol`. */
  readonly confirms: boolean;
  /** Bytes of a lossless output this hub takes unacknowledged; undefined: it takes no `$/progress`. */
  readonly streamWindowBytes?: number | undefined;
  readonly log: Logger;
  readonly limits?: Partial<SessionLimits>;
  /** Notifications of the hub that are not about a call. */
  readonly onNotification: (method: string, params: unknown) => void;
}

/** How a session ended. */
export interface SessionEnd {
  readonly closeCode: number;
  readonly reason: string;
  readonly authenticatedMs: number;
}

const DEFAULT_LIMITS: SessionLimits = {
  silenceMaxMs: AGENT_SILENCE_MAX_MS,
  backlogMaxBytes: 1024 * 1024,
};
const NORMAL_CLOSURE = 1000;
const GOING_AWAY = 1001;
// With that of the commands within the second an agent has between its signal and its end.
const CLOSE_LIMIT_MS = 300;

/** One authenticated socket: hands the hub's requests to the commands, and their answers to the hub. */
export class Session implements AsyncDisposable {
  /** Resolves when the socket is closed. */
  readonly closed: Promise<SessionEnd>;
  readonly #socket: WebSocket;
  readonly #commands: RunningCommands;
  readonly #log: Logger;
  readonly #limits: SessionLimits;
  readonly #onNotification: SessionOptions['onNotification'];
  readonly #outlet: Outlet;

  constructor(socket: WebSocket, options: SessionOptions) {
    const { commands, confirms, streamWindowBytes, log, limits, onNotification } = options;
    this.#socket = socket;
    this.#commands = commands;
    this.#log = log;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#onNotification = onNotification;
    const watch = new SilenceWatch(socket, this.#limits.silenceMaxMs, () => {
      log.warn('nothing heard of the hub: giving the socket up');
    });
    socket.on('error', (error) => {
      log.warn({ err: error }, 'socket fault');
    });
    const startedAtMs = performance.now();
    const { promise, resolve } = Promise.withResolvers<SessionEnd>();
    this.closed = promise;
    const send = (text: string, sent?: () => void): void => {
      this.#send(text, sent);
    };
    this.#outlet = { send, confirms, streamWindowBytes };
    const detach = commands.attach(this.#outlet);
    socket.on('message', (data: RawData, isBinary) => {
      this.#receive(data, isBinary);
    });
    socket.once('close', (closeCode, reason) => {
      watch[Symbol.dispose]();
      detach();
      const authenticatedMs = performance.now() - startedAtMs;
      resolve({ closeCode, reason: reason.toString(), authenticatedMs });
    });
  }

  /** Sends telemetry, unless the socket is closed or far behind: the next measurement replaces it. */
  notify(method: string, params: object): void {
    if (this.#socket.bufferedAmount > this.#limits.backlogMaxBytes) {
      this.#log.debug({ method }, 'socket is behind: telemetry left out');
      return;
    }
    this.#send(encodeNotification(method, params));
  }

  /** Sends what is bounded by whoever sends it, and in whose order nothing may be missing. */
  push(method: string, params: object): void {
    this.#send(encodeNotification(method, params));
  }

  /** Answers the commands under way, for `limitMs` at most, then closes the socket. */
  async retire(limitMs: number): Promise<void> {
    await Promise.race([this.#commands.idle(), delay(limitMs, undefined, { ref: false })]);
    this.#socket.close(NORMAL_CLOSURE, 'retired');
  }

  /**
   * For the end of the process: aborts the commands, closes the socket, and waits for both a short
   * time at most.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    // First, so that it is still told what became of them.
    await this.#commands[Symbol.asyncDispose]();
    this.#socket.close(GOING_AWAY, 'agent stopped');
    await Promise.race([this.closed, delay(CLOSE_LIMIT_MS, undefined, { ref: false })]);
    this.#socket.terminate();
  }

  #receive(data: RawData, isBinary: boolean): void {
    const message = parseHubMessage(frameText(data), isBinary);
    switch (message.kind) {
      case 'request':
        this.#commands.start(message.request, this.#outlet);
        return;
      case 'notification':
        this.#notified(message.notification);
        return;
      case 'invalid':
        this.#log.warn({ error: message.error.name }, 'invalid message of the hub');
        this.#send(encodeError(message.id, message.error));
        return;
      case 'answer':
        this.#log.debug('answer without a question ignored');
    }
  }

  #notified({ method, params }: RpcNotification): void {
    switch (method) {
      case CANCEL_METHOD: {
        const cancel = cancelParamsSchema.safeParse(params);
        if (cancel.success) this.#commands.cancel(cancel.data.id);
        return;
      }
      case ACK_METHOD: {
        const ack = ackParamsSchema.safeParse(params);
        if (ack.success) this.#commands.acknowledged(ack.data.id, ack.data.bytes);
        return;
      }
      case STORED_METHOD: {
        const stored = storedParamsSchema.safeParse(params);
        if (stored.success) this.#commands.stored(stored.data.ids);
        return;
      }
      default:
        this.#onNotification(method, params);
    }
  }

  /** `sent` is called in any case: what follows an answer does so even if nobody hears it. */
  #send(text: string, sent: () => void = () => undefined): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(text, sent);
    else sent();
  }
}
