import type { RawData, WebSocket } from 'ws';
import { TomoError } from '../../protocol/errors.ts';
import { CLOSE_CODES } from '../../protocol/handshake.ts';
import {
  CANCEL_METHOD,
  encodeError,
  encodeNotification,
  encodeResult,
  PROGRESS_METHOD,
  type RpcNotification,
  type RpcResponse,
  STORED_METHOD,
} from '../../protocol/json-rpc.ts';
import {
  CALLS_PER_AGENT_MAX_COUNT,
  SEND_BACKLOG_MAX_BYTES,
  VIOLATIONS_MAX_COUNT,
} from '../../protocol/limits.ts';
import type { AgentAnswer } from './agent-call.ts';
import { parseAgentMessage } from './agent-message.ts';
import { AgentProgress } from './agent-progress.ts';
import { closeReason } from './close-reason.ts';
import type { ConnectedAgent } from './connected-agent.ts';
import {
  answeredError,
  busy,
  connectionLost,
  detached,
  notConnected,
  notForTheHub,
} from './connection-errors.ts';
import type { ConnectionOptions } from './connection-options.ts';
import { frameText } from './frame-text.ts';
import { OwedAnswers } from './owed-answers.ts';
import { PendingCalls } from './pending-calls.ts';
import { RoundTrips } from './round-trips.ts';
import { StoredAnswers } from './stored-answers.ts';
import { UnaskedFrames } from './unasked-frames.ts';
import { encodeCall, type WireCall } from './wire-call.ts';

/** What is around a result in its frame, but for the id. */
const ENVELOPE_BYTES = encodeResult('', null).length - 'null'.length;

/** One authenticated socket: sends calls, matches answers, counts violations. */
export class AgentConnection {
  readonly agent: ConnectedAgent;
  readonly #socket: WebSocket;
  readonly #stream: ConnectionOptions['stream'];
  readonly #options: ConnectionOptions;
  readonly #calls = new PendingCalls<AgentAnswer>();
  readonly #owed: OwedAnswers;
  /** None of an agent of the first deployment, which keeps no answers. */
  readonly #stored: StoredAnswers | undefined;
  readonly #roundTrips: RoundTrips;
  readonly #progress: AgentProgress;
  readonly #unasked: UnaskedFrames;
  #violations = 0;

  constructor(options: ConnectionOptions) {
    this.agent = options.agent;
    this.#socket = options.socket;
    this.#stream = options.stream;
    this.#options = options;
    this.#roundTrips = new RoundTrips(options.socket);
    this.#owed = new OwedAnswers(options.agent.hello.held ?? []);
    if (options.agent.hello.protocol !== undefined) {
      this.#stored = new StoredAnswers((ids) => this.notify(STORED_METHOD, { ids }));
    }
    this.#progress = new AgentProgress({
      isAwaited: (id) => this.awaits(id),
      keepsResult: (id) => this.#calls.has(id) || options.owes(id),
      take: options.onProgress,
      onStray: options.onStrayProgress,
      notify: (method, params) => this.notify(method, params),
      backlogBytes: () => this.backlogBytes,
    });
    this.#unasked = new UnaskedFrames({ ...options, agentId: options.agent.agentId });
    this.#socket.on('message', (data, isBinary) => {
      this.#unasked.handled(this.#receive(data, isBinary));
    });
    this.#socket.on('close', (code) => this.#closed(code));
  }

  /** Bytes that have arrived so far: any of them is a sign of life. */
  get bytesReceived(): number {
    return this.#stream.bytesRead ?? 0;
  }

  /** Bytes that wait to be sent: the agent does not read as fast as it is spoken to. */
  get backlogBytes(): number {
    return this.#socket.bufferedAmount;
  }

  get callsInFlight(): number {
    return this.#calls.count;
  }

  /** Monotonic ms until which an agent that cannot speak while it works may be silent. */
  get latestDeadline(): number | undefined {
    return this.#calls.latestDeadline;
  }

  /** Whether the socket has closed. */
  get isClosed(): boolean {
    return this.#socket.readyState === this.#socket.CLOSED;
  }

  /** Reads what the agent sends from now on. */
  start(): void {
    this.#unasked.start();
  }

  /** Resolves when the socket has closed. */
  closed(): Promise<void> {
    if (this.isClosed) return Promise.resolve();
    return new Promise((resolve) => this.#socket.once('close', () => resolve()));
  }

  /** Whether a call waits for that command, or the agent said that it holds it. */
  awaits(id: string): boolean {
    return this.#calls.has(id) || this.#owed.has(id);
  }

  /** Resolves when no call waits for the agent and it holds no answer of an earlier socket. */
  async idle(): Promise<void> {
    await this.#owed.none();
    await this.#calls.none();
  }

  send(text: string): void {
    this.#socket.send(text);
  }

  /**
   * Sends a notification; agents of the first deployment, which would answer it with an error, get
   * none. Whether it was sent.
   */
  notify(method: string, params: object): boolean {
    if (this.agent.hello.protocol === undefined) return false;
    if (this.#socket.readyState !== this.#socket.OPEN) return false;
    this.#socket.send(encodeNotification(method, params));
    return true;
  }

  /** How a call with a row ended is in its row: the agent need not keep the answer. */
  written(id: string): void {
    this.#stored?.written(id);
  }

  async call(call: WireCall): Promise<AgentAnswer> {
    this.#refuseIfBusy();
    if (call.signal?.aborted === true) {
      throw new TomoError('COMMAND_CANCELLED', 'The call was cancelled before it was sent.');
    }
    const request = encodeCall(call);
    if (call.hasRow === true) this.#stored?.begun(call.id);
    const answer = this.#calls.wait({
      id: call.id,
      timeoutMs: call.timeoutMs,
      signal: call.signal,
      onGivenUp: () => {
        this.#progress.drop(call.id);
        return this.cancel(call.id);
      },
    });
    this.#socket.send(request);
    return answer;
  }

  /** Tells the agent to stop a command, whose answer is still waited for. Whether it was told. */
  cancel(id: string): boolean {
    return this.notify(CANCEL_METHOD, { id });
  }

  /** Ends the call of a command, which is stopped. False if no call waits for it. */
  abandon(id: string, why: TomoError): boolean {
    this.#progress.drop(id);
    return this.#calls.reject(id, why);
  }

  /** Round trip of a WebSocket ping in milliseconds; rejects when `signal` aborts. */
  measureLatency(signal: AbortSignal): Promise<number> {
    return this.#roundTrips.measure(signal);
  }

  ping(): void {
    this.#roundTrips.ping();
  }

  /** Fails every call at once, then closes the socket politely. */
  close(code: number, reason: string, error: TomoError): void {
    this.#failCalls(error);
    // The other end may take its time to close, and come back by another socket meanwhile.
    this.#progress[Symbol.dispose]();
    this.#socket.close(code, closeReason(reason));
  }

  /** Cuts a socket whose other end does not answer. */
  terminate(): void {
    this.#socket.terminate();
  }

  #refuseIfBusy(): void {
    if (this.#socket.readyState !== this.#socket.OPEN) throw notConnected();
    if (this.#calls.count >= CALLS_PER_AGENT_MAX_COUNT) {
      throw busy(`${CALLS_PER_AGENT_MAX_COUNT} calls already wait for it`);
    }
    if (this.backlogBytes > SEND_BACKLOG_MAX_BYTES) {
      throw busy('it does not read what was sent to it');
    }
  }

  /** Whether it was asked for. */
  #receive(data: RawData, isBinary: boolean): boolean {
    // What a revoked, superseded or offending agent still sends until it has gone is not heard.
    if (this.#socket.readyState !== this.#socket.OPEN) return false;
    const text = frameText(data, isBinary);
    const message = text === undefined ? undefined : parseAgentMessage(text);
    if (text === undefined || message === undefined) {
      this.#countViolation();
    } else if (message.kind === 'response') {
      return this.#answer(message.response, Buffer.byteLength(text));
    } else if (message.kind === 'notification') {
      return this.#hear(message.notification, Buffer.byteLength(text));
    } else {
      // The one too many is answered by the close.
      this.#countViolation();
      this.#answerRequest(message.id, message.method);
    }
    return false;
  }

  #hear(notification: RpcNotification, frameBytes: number): boolean {
    if (notification.method === PROGRESS_METHOD) return this.#progress.receive(notification.params);
    return this.#options.onNotification(notification, frameBytes);
  }

  #answer(answer: RpcResponse, frameBytes: number): boolean {
    const { id } = answer;
    const ownBytes = Math.max(0, frameBytes - ENVELOPE_BYTES - id.length);
    const { response, bytes } = this.#progress.complete(answer, ownBytes);
    const matched =
      'error' in response
        ? this.#calls.reject(id, answeredError(response.error))
        : this.#calls.resolve(id, { result: response.result, bytes });
    if (matched) {
      this.#stored?.answered(id);
    } else {
      this.#options.onStrayAnswer({ response, bytes }, () => this.#stored?.answered(id));
      this.#owed.answered(id);
    }
    return matched;
  }

  #answerRequest(id: string, method: string): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#socket.send(encodeError(id, notForTheHub(method)));
  }

  #countViolation(): void {
    this.#violations += 1;
    if (this.#violations <= VIOLATIONS_MAX_COUNT) return;
    this.#options.log.warn(
      { agent: this.agent.serverId },
      'closing an agent that breaks the protocol',
    );
    this.close(CLOSE_CODES.PROTOCOL_VIOLATION, 'too many invalid messages', connectionLost());
  }

  /** An agent that can come back brings the answers of calls that have a row. */
  #failCalls(error: TomoError): void {
    const ids =
      error.name === 'CONNECTION_LOST'
        ? this.#calls.ids.filter((id) => this.#stored?.isUnwritten(id) === true)
        : [];
    const late = new Set(ids);
    this.#calls.rejectAll((id) => (late.has(id) ? detached(this.agent.serverId) : error));
    if (ids.length > 0) this.#options.onDetached(ids);
  }

  #closed(code: number): void {
    this.#failCalls(connectionLost());
    this.#stored?.[Symbol.dispose]();
    this.#progress[Symbol.dispose]();
    this.#unasked[Symbol.dispose]();
    this.#options.onClosed(code);
  }
}
