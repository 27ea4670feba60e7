import { on, once } from 'node:events';
import type { Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { type ClientOptions, WebSocket } from 'ws';

export type Message = Record<string, unknown>;

interface Closed {
  code: number;
  reason: string;
}

/** A scriptable agent: a bare WebSocket client that says exactly what a test tells it to. */
export class FakeAgent {
  readonly socket: WebSocket;
  /** How the hub closed the socket. */
  readonly closed: Promise<Closed>;
  readonly #messages: AsyncIterator<unknown[]>;
  readonly #raw: Promise<Socket>;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    this.#messages = on(socket, 'message')[Symbol.asyncIterator]();
    this.#raw = once(socket, 'upgrade').then(([response]) => response.socket as Socket);
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    socket.on('error', () => undefined);
    onTestFinished(() => socket.terminate());
  }

  static async dial(url: string, options: ClientOptions = {}): Promise<FakeAgent> {
    const agent = new FakeAgent(new WebSocket(url, options));
    await once(agent.socket, 'open');
    return agent;
  }

  send(message: Message | string | Buffer): void {
    const asItIs = typeof message === 'string' || Buffer.isBuffer(message);
    this.socket.send(asItIs ? message : JSON.stringify(message));
  }

  /** The hub's next message. */
  async next(): Promise<Message> {
    const { value } = await this.#messages.next();
    return JSON.parse(String(value[0])) as Message;
  }

  /** The hub's next message that fits; those before it are dropped. */
  async nextWhere(fits: (message: Message) => boolean): Promise<Message> {
    for (;;) {
      const message = await this.next();
      if (fits(message)) return message;
    }
  }

  /** Sends a first message and answers the hub's reply to it. */
  async hello(hello: Message | string | Buffer): Promise<Message> {
    this.send(hello);
    return await this.next();
  }

  /** The next call of the hub. */
  async request(): Promise<{ id: string; method: string; params: Message }> {
    const message = await this.nextWhere((candidate) => 'id' in candidate);
    return message as { id: string; method: string; params: Message };
  }

  notify(method: string, params: unknown): void {
    this.send({ jsonrpc: '2.0', method, params });
  }

  answer(id: string, result: unknown): void {
    this.send({ jsonrpc: '2.0', id, result });
  }

  fail(id: string, error: Message): void {
    this.send({ jsonrpc: '2.0', id, error });
  }

  /** Writes bytes past the WebSocket client, such as a frame in pieces. */
  async writeRaw(bytes: Buffer | string): Promise<void> {
    const raw = await this.#raw;
    await new Promise<void>((resolve) => raw.write(bytes, () => resolve()));
  }

  /** Cuts the connection without a closing handshake. */
  cut(): void {
    this.socket.terminate();
  }
}

/** A masked text frame as a client sends it; the mask is zero, so that the payload is plain. */
export function textFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  const head = Buffer.alloc(14);
  head.writeUInt8(0x81, 0);
  head.writeUInt8(0x80 | 127, 1);
  head.writeBigUInt64BE(BigInt(payload.byteLength), 2);
  return Buffer.concat([head, payload]);
}

/** The answer to `agent.ping` that the catalogue promises. */
export const PONG = { status: 'ok', version: '1.0.0', agent_id: null };
