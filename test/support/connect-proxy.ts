import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';

export interface ConnectProxyOptions {
  /** "user:password" that clients must give. */
  readonly login?: string;
  /** Refuses with this status line instead of connecting. */
  readonly refusal?: string;
  /** Takes connections and never answers. */
  readonly isSilent?: boolean;
  readonly tls?: { key: string; cert: string };
}

/** An HTTP proxy that tunnels with CONNECT, as companies have them. */
export class ConnectProxy implements AsyncDisposable {
  /** Every "host:port" that was asked for. */
  readonly asked: string[] = [];
  readonly #server: Server;
  readonly #options: ConnectProxyOptions;
  readonly #sockets = new Set<Duplex>();

  private constructor(server: Server, options: ConnectProxyOptions) {
    this.#server = server;
    this.#options = options;
    server.on('connection', (socket) => this.#note(socket));
    server.on('connect', (request, socket) => this.#connect(request, socket));
  }

  static async start(options: ConnectProxyOptions = {}): Promise<ConnectProxy> {
    const server = options.tls ? createSecureServer(options.tls) : createServer();
    const proxy = new ConnectProxy(server, options);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `${this.#options.tls ? 'https' : 'http'}://127.0.0.1:${this.port}`;
  }

  /** Connections that are open at present, to it and from it. */
  get openCount(): number {
    return this.#sockets.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #note(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  #connect(request: IncomingMessage, client: Duplex): void {
    const { login, refusal, isSilent = false } = this.#options;
    this.asked.push(request.url ?? '');
    if (isSilent) {
      // A socket of an HTTP server stays half open otherwise.
      client.once('end', () => client.end()).resume();
      return;
    }
    const wanted = login && `Basic ${Buffer.from(login).toString('base64')}`;
    if (wanted !== undefined && request.headers['proxy-authorization'] !== wanted) {
      client.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
    } else if (refusal !== undefined) {
      client.end(`HTTP/1.1 ${refusal}\r\n\r\n`);
    } else {
      this.#tunnel(request.url ?? '', client);
    }
  }

  #tunnel(target: string, client: Duplex): void {
    const { hostname, port } = new URL(`http://${target}`);
    const server = connect(Number(port || 80), hostname);
    this.#note(server);
    server.once('connect', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      server.pipe(client).pipe(server);
    });
    server.once('close', () => client.destroy());
    client.once('close', () => server.destroy());
  }
}
