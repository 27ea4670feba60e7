import { isUtf8 } from 'node:buffer';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { VIOLATIONS_MAX_COUNT } from '../../protocol/limits.ts';
import { parseAgentMessage } from '../../src/agent-hub/agent-message.ts';
import { CALL_ID, mutatedFrame, validFrame, type WireFrame } from './frame-mutations.ts';

/** So many frames are on their way at most before the hub has shown that it read them. */
const BATCH_COUNT = 200;
/** What a socket takes in before one more violation would close it with the frames behind it unread. */
const FRAMES_PER_SOCKET = 20;
const TOLERATED = VIOLATIONS_MAX_COUNT;
/** RFC 6455, section 7.4.1. */
const INVALID_TEXT = 1007;
const HELLO = { version: '1.0.0', protocol: 1 };

/** An attacker that has an agent's token: it comes back as often as it is thrown out. */
export class HostileAgent {
  readonly #url: string;
  readonly #token: string;
  #socket: WebSocket | undefined;
  #callId = 'never';
  #violations = 0;
  #unread = 0;
  /** Sockets used so far. */
  connections = 0;

  constructor(url: string, token: string) {
    this.#url = url;
    this.#token = token;
  }

  /** Plays by the rules for so many frames, but comes back about as often. */
  async behave(count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      const { data, isBinary } = validFrame(index);
      await this.#deliver({ data: this.#asked(data), isBinary });
      if (index % FRAMES_PER_SOCKET === 0) await this.#leave();
    }
    await this.#read();
  }

  /** Sends the frames of a seed from one index to another, each of which the hub reads. */
  async sendFrames(seed: number, from: number, to: number): Promise<void> {
    for (let index = from; index < to; index += 1) {
      const { data, isBinary } = mutatedFrame('message', seed, index);
      if (isBinary || isUtf8(data)) await this.#deliver({ data: this.#asked(data), isBinary });
      else await this.#offend(data);
    }
    await this.#read();
  }

  close(): void {
    this.#socket?.terminate();
    this.#socket = undefined;
    this.#violations = 0;
    this.#unread = 0;
  }

  #asked(data: Buffer): Buffer {
    if (!data.includes(CALL_ID)) return data;
    return Buffer.from(data.toString().replaceAll(CALL_ID, this.#callId));
  }

  /** Text that is not UTF-8 costs the socket. */
  async #offend(data: Buffer): Promise<void> {
    await this.#leave();
    const socket = (this.#socket ??= await this.#connect());
    const closed = once(socket, 'close').then(([code]) => Number(code));
    socket.send(data, { binary: false });
    const code = await closed;
    if (code !== INVALID_TEXT) throw new Error(`the hub closed with ${code}`);
    this.#socket = undefined;
    this.#violations = 0;
    this.#unread = 0;
  }

  async #deliver({ data, isBinary }: WireFrame): Promise<void> {
    const message = isBinary ? undefined : parseAgentMessage(data.toString());
    const isViolation = message === undefined || message.kind === 'request';
    if (isViolation && this.#violations === TOLERATED) await this.#leave();
    if (isViolation) this.#violations += 1;
    this.#socket ??= await this.#connect();
    this.#socket.send(data, { binary: isBinary });
    this.#unread += 1;
    if (this.#unread >= BATCH_COUNT) await this.#read();
  }

  /** Resolves when the hub has read all that was sent. Throws if it closed the socket instead. */
  async #read(): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#unread = 0;
    const closed = once(socket, 'close').then(([code]) => Number(code));
    const pong = once(socket, 'pong').then(() => undefined);
    socket.ping();
    const code = await Promise.race([pong, closed]);
    if (code !== undefined) throw new Error(`the hub closed with ${code}`);
  }

  async #leave(): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined) return;
    await this.#read();
    this.#socket = undefined;
    this.#violations = 0;
    const closed = once(socket, 'close');
    socket.terminate();
    await closed;
  }

  async #connect(): Promise<WebSocket> {
    const socket = new WebSocket(this.#url, { perMessageDeflate: false });
    socket.on('error', () => undefined);
    await once(socket, 'open');
    const welcome = once(socket, 'message');
    socket.send(JSON.stringify({ type: 'authenticate', token: this.#token, ...HELLO }));
    await welcome;
    this.connections += 1;
    socket.on('message', (data: Buffer) => {
      // The calls that the hub sends it, to be answered in every wrong way.
      const id = /"id":"([^"]+)"/.exec(data.toString())?.[1];
      if (id !== undefined) this.#callId = id;
    });
    return socket;
  }
}

/** Sends one first message on a socket of its own; resolves when the hub has closed it. */
export async function sendHello(url: string, { data, isBinary }: WireFrame): Promise<number> {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  socket.on('error', () => undefined);
  const closed = once(socket, 'close').then(([code]) => Number(code));
  socket.on('open', () => socket.send(data, { binary: isBinary }));
  return closed;
}
