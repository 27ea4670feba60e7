import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type RawData, WebSocket } from 'ws';
import { TomoError, toTomoError } from '../protocol/errors.ts';
import {
  CANCEL_METHOD,
  cancelParamsSchema,
  encodeError,
  encodeNotification,
  encodeResult,
  type RpcNotification,
  type RpcRequest,
} from '../protocol/json-rpc.ts';
import {
  AGENT_SILENCE_MAX_MS,
  CALLS_PER_AGENT_MAX_COUNT,
  FRAME_MAX_BYTES,
} from '../protocol/limits.ts';
import type { Dispatch } from './dispatcher.ts';
import { frameText } from './frame-text.ts';
import { parseHubMessage } from './hub-message.ts';
import { SilenceWatch } from './silence-watch.ts';

export interface SessionLimits {
  readonly silenceMaxMs: number;
  readonly callsMaxCount: number;
  readonly frameMaxBytes: number;
  /** Unsent bytes past which telemetry is left out. */
  readonly backlogMaxBytes: number;
}

export interface SessionOptions {
  readonly dispatch: Dispatch;
  readonly log: Logger;
  readonly limits?: Partial<SessionLimits>;
  /** Notifications of the hub that are not about a call. */
  readonly onNotification: (method: string) => void;
}

/** How a session ended. */
export interface SessionEnd {
  readonly closeCode: number;
  readonly reason: string;
  readonly authenticatedMs: number;
}

const DEFAULT_LIMITS: SessionLimits = {
  silenceMaxMs: AGENT_SILENCE_MAX_MS,
  callsMaxCount: CALLS_PER_AGENT_MAX_COUNT,
  frameMaxBytes: FRAME_MAX_BYTES,
  backlogMaxBytes: 1024 * 1024,
};
const NORMAL_CLOSURE = 1000;
const GOING_AWAY = 1001;
// Within the second an agent has between its signal and its end.
const CLOSE_LIMIT_MS = 600;

interface Call {
  readonly controller: AbortController;
  readonly done: Promise<void>;
}

/** One authenticated socket: serves the hub's requests until it closes, then aborts what still runs. */
export class Session implements AsyncDisposable {
  /** Resolves when the socket is closed. */
  readonly closed: Promise<SessionEnd>;
  readonly #socket: WebSocket;
  readonly #dispatch: Dispatch;
  readonly #log: Logger;
  readonly #limits: SessionLimits;
  readonly #onNotification: (method: string) => void;
  readonly #calls = new Map<string, Call>();

  constructor(socket: WebSocket, options: SessionOptions) {
    const { dispatch, log, limits, onNotification } = options;
    this.#socket = socket;
    this.#dispatch = dispatch;
    this.#log = log;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#onNotification = onNotification;
    const watch = new SilenceWatch(socket, this.#limits.silenceMaxMs, () => {
      log.warn('nothing heard of the hub: giving the socket up');
    });
    socket.on('message', (data: RawData, isBinary) => {
      this.#receive(data, isBinary);
    });
    socket.on('error', (error) => {
      log.warn({ err: error }, 'socket fault');
    });
    const startedAtMs = performance.now();
    const { promise, resolve } = Promise.withResolvers<SessionEnd>();
    this.closed = promise;
    socket.once('close', (closeCode, reason) => {
      watch[Symbol.dispose]();
      this.#abortCalls(new TomoError('CONNECTION_LOST', 'The socket to the hub closed.'));
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

  /** Answers the calls under way, for `limitMs` at most, then closes the socket. */
  async retire(limitMs: number): Promise<void> {
    const limit = delay(limitMs, 'over' as const, { ref: false });
    const answered = async (): Promise<void> => {
      await Promise.all([...this.#calls.values()].map(({ done }) => done));
    };
    // A call may have been on its way when the hub said so.
    while (this.#calls.size > 0) {
      if ((await Promise.race([answered(), limit])) === 'over') break;
    }
    this.#socket.close(NORMAL_CLOSURE, 'retired');
  }

  /** Aborts the calls, closes the socket, and waits for both a short time at most. */
  async [Symbol.asyncDispose](): Promise<void> {
    const calls = [...this.#calls.values()].map(({ done }) => done);
    this.#abortCalls(new TomoError('CONNECTION_LOST', 'The agent is ending.'));
    this.#socket.close(GOING_AWAY, 'agent stopped');
    await Promise.race([
      Promise.all([this.closed, ...calls]),
      delay(CLOSE_LIMIT_MS, undefined, { ref: false }),
    ]);
    this.#socket.terminate();
  }

  #receive(data: RawData, isBinary: boolean): void {
    const message = parseHubMessage(frameText(data), isBinary);
    switch (message.kind) {
      case 'request':
        this.#accept(message.request);
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

  #accept(request: RpcRequest): void {
    const { id } = request;
    if (this.#calls.has(id)) {
      // Answered without the id, or the hub would take it for the answer of the call that runs.
      const facts = { id };
      this.#send(
        encodeError(null, new TomoError('INVALID_REQUEST', 'This id is in use.', { facts })),
      );
      return;
    }
    const limit = this.#limits.callsMaxCount;
    if (this.#calls.size >= limit) {
      const text = `This agent runs ${limit} commands already; wait for one to end.`;
      this.#send(encodeError(id, new TomoError('LIMIT_REACHED', text, { facts: { limit } })));
      return;
    }
    const controller = new AbortController();
    this.#calls.set(id, { controller, done: this.#serve(request, controller.signal) });
  }

  async #serve({ id, method, params }: RpcRequest, signal: AbortSignal): Promise<void> {
    let answer: string;
    let acts: (() => void)[] = [];
    const afterAnswer = (act: () => void): void => {
      acts.push(act);
    };
    try {
      const context = { signal, afterAnswer };
      answer = this.#encode(id, await this.#dispatch(method, params ?? {}, context));
    } catch (error) {
      const shown = toTomoError(error);
      if (shown !== error) this.#log.error({ method, err: error }, 'answer could not be sent');
      answer = encodeError(id, shown);
      acts = [];
    }
    this.#calls.delete(id);
    this.#send(answer, () => {
      for (const act of acts) act();
    });
  }

  #encode(id: string, result: unknown): string {
    const text = encodeResult(id, result);
    const limit = this.#limits.frameMaxBytes;
    if (Buffer.byteLength(text) <= limit) return text;
    throw new TomoError(
      'RESULT_TOO_LARGE',
      `The answer is larger than ${limit} bytes. Ask for less: filter, or take a part.`,
      { facts: { limit } },
    );
  }

  #notified({ method, params }: RpcNotification): void {
    if (method !== CANCEL_METHOD) {
      this.#onNotification(method);
      return;
    }
    const cancel = cancelParamsSchema.safeParse(params);
    if (!cancel.success) {
      this.#log.debug({ method }, 'notification ignored');
      return;
    }
    const call = this.#calls.get(cancel.data.id);
    call?.controller.abort(new TomoError('COMMAND_CANCELLED', 'The caller cancelled.'));
  }

  #abortCalls(reason: TomoError): void {
    for (const { controller } of this.#calls.values()) controller.abort(reason);
  }

  /** `sent` is called in any case: what follows an answer does so even if nobody hears it. */
  #send(text: string, sent: () => void = () => undefined): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(text, sent);
    else sent();
  }
}
