import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

type Message = Record<string, unknown>;

/** A bare WebSocket server in the hub's place: a test says what it answers. */
export class HubStandIn implements AsyncDisposable {
  readonly url: string;
  readonly #server: WebSocketServer;
  readonly #sockets = new Queue<HubSocket>();

  private constructor(server: WebSocketServer, origin: string) {
    this.#server = server;
    this.url = `${origin}/ws/agent`;
    server.on('connection', (socket) => {
      this.#sockets.put(new HubSocket(socket));
    });
  }

  static async start(port = 0, host = '127.0.0.1'): Promise<HubStandIn> {
    const server = new WebSocketServer({ host, port });
    await once(server, 'listening');
    return new HubStandIn(server, `ws://${host}:${(server.address() as AddressInfo).port}`);
  }

  /** One that is reached over TLS; every path but the agents' answers with 200. */
  static async startSecure(
    tls: { key: string; cert: string },
    host = '127.0.0.1',
  ): Promise<HubStandIn> {
    const listener = createServer(tls, (_request, response) => response.end('ok'));
    listener.listen(0, host);
    await once(listener, 'listening');
    const server = new WebSocketServer({ server: listener });
    server.once('close', () => listener.close());
    return new HubStandIn(server, `wss://${host}:${(listener.address() as AddressInfo).port}`);
  }

  /** The next socket of an agent. */
  async accept(): Promise<HubSocket> {
    return await this.#sockets.take();
  }

  /** The next socket, after its first message, which is checked for its type and welcomed. */
  async welcome(
    config: Message = {},
    more: Message = {},
  ): Promise<{ hub: HubSocket; hello: Message }> {
    const hub = await this.accept();
    const hello = await hub.next();
    welcome(hub, hello, config, more);
    return { hub, hello };
  }

  /** Refuses tokens until one of these comes, and welcomes that; gives those that came before, too. */
  async welcomeToken(
    good: readonly string[],
    more: Message = {},
  ): Promise<{ hub: HubSocket; tried: string[] }> {
    const tried: string[] = [];
    for (;;) {
      const hub = await this.accept();
      const hello = await hub.next();
      tried.push(String(hello['token']));
      if (good.includes(String(hello['token']))) {
        welcome(hub, hello, {}, more);
        return { hub, tried };
      }
      hub.refuse('TOKEN_UNKNOWN', 4001);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

function welcome(hub: HubSocket, hello: Message, config: Message, more: Message): void {
  const token = hello['type'] === 'register' ? { token: `token-of-${String(hello['code'])}` } : {};
  const type = hello['type'] === 'register' ? 'registered' : 'authenticated';
  hub.send({ type, agent_id: 'agent-1', ...token, config, ...more });
}

/** The hub's end of one socket. */
export class HubSocket {
  readonly socket: WebSocket;
  readonly closed: Promise<number>;
  readonly #messages = new Queue<Message>();

  constructor(socket: WebSocket) {
    this.socket = socket;
    this.closed = once(socket, 'close').then(([code]) => code as number);
    socket.on('error', () => undefined);
    socket.on('message', (data: Buffer) => {
      this.#messages.put(JSON.parse(data.toString()) as Message);
    });
  }

  send(message: Message | string): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  request(id: string, method: string, params: Message = {}): void {
    this.send({ jsonrpc: '2.0', id, method, params });
  }

  async call(id: string, method: string, params: Message = {}): Promise<Message> {
    this.request(id, method, params);
    return await this.answer(id);
  }

  /** The next message. */
  async next(): Promise<Message> {
    return await this.#messages.take();
  }

  /** The next message that fits; others before it are dropped. */
  async nextWhere(fits: (message: Message) => boolean): Promise<Message> {
    for (;;) {
      const message = await this.next();
      if (fits(message)) return message;
    }
  }

  async answer(id: string | null): Promise<Message> {
    return await this.nextWhere((message) => message['id'] === id && !('method' in message));
  }

  async notification(method: string): Promise<Message> {
    return (await this.nextWhere((message) => message['method'] === method))['params'] as Message;
  }

  refuse(code: string | undefined, closeCode: number): void {
    this.send({ error: 'refused', ...(code === undefined ? {} : { code }) });
    this.socket.close(closeCode);
  }
}

class Queue<T> {
  readonly #items: T[] = [];
  readonly #takers: ((item: T) => void)[] = [];

  put(item: T): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.#items.push(item);
    else taker(item);
  }

  async take(): Promise<T> {
    const [item] = this.#items.splice(0, 1);
    if (item !== undefined) return item;
    const { promise, resolve } = Promise.withResolvers<T>();
    this.#takers.push(resolve);
    return await promise;
  }
}
