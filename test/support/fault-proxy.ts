import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

/** A TCP proxy before the hub that can do to a connection what a network does. */
export class FaultProxy implements AsyncDisposable {
  /** Where agents dial instead of the hub's own port. */
  readonly url: string;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #isFrozen = false;

  private constructor(server: Server) {
    this.#server = server;
    const { port } = server.address() as AddressInfo;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(targetPort: number): Promise<FaultProxy> {
    const server = createServer({ allowHalfOpen: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new FaultProxy(server);
    server.on('connection', (near) => proxy.#join(near, targetPort));
    return proxy;
  }

  /** Forwards nothing any more and closes nothing: what a pulled cable looks like to both ends. */
  freeze(): void {
    this.#isFrozen = true;
    for (const { near, far } of this.#pairs) {
      near.unpipe(far).pause();
      far.unpipe(near).pause();
    }
  }

  /** New connections are forwarded again; those that were frozen stay dead. */
  heal(): void {
    this.#isFrozen = false;
  }

  /** Resets every connection at once. */
  cut(): void {
    for (const { near, far } of this.#pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.cut();
    await once(this.#server, 'close');
  }

  #join(near: Socket, targetPort: number): void {
    const far = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true });
    const pair = { near, far };
    this.#pairs.add(pair);
    for (const socket of [near, far]) {
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        if (this.#isFrozen) return;
        near.destroy();
        far.destroy();
        this.#pairs.delete(pair);
      });
    }
    if (this.#isFrozen) return;
    near.pipe(far);
    far.pipe(near);
  }
}
