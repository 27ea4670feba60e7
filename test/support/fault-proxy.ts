import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { type Duplex, Transform } from 'node:stream';

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  /** What comes from afar goes through it; undefined at full speed. */
  readonly brake: Transform | undefined;
}

interface FaultProxyOptions {
  /** What each connection gets from the other end in a second at most. */
  readonly bytesPerSecond?: number;
}

/** A TCP proxy before a server that can do to a connection what a network does. */
export class FaultProxy implements AsyncDisposable {
  /** Where to dial instead of the server's own port. */
  readonly url: string;
  readonly #options: FaultProxyOptions;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #isFrozen = false;

  private constructor(server: Server, options: FaultProxyOptions) {
    this.#server = server;
    this.#options = options;
    const { port } = server.address() as AddressInfo;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(targetPort: number, options: FaultProxyOptions = {}): Promise<FaultProxy> {
    const server = createServer({ allowHalfOpen: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new FaultProxy(server, options);
    server.on('connection', (near) => proxy.#join(near, targetPort));
    return proxy;
  }

  /** Forwards nothing any more and closes nothing: what a pulled cable looks like to both ends. */
  freeze(): void {
    this.#isFrozen = true;
    for (const { near, far, brake } of this.#pairs) {
      for (const stream of [near, far, brake]) stream?.unpipe().pause();
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
    const { bytesPerSecond } = this.#options;
    const brake = bytesPerSecond === undefined ? undefined : slowedTo(bytesPerSecond);
    const pair = { near, far, brake };
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
    const back: Duplex = brake === undefined ? far : far.pipe(brake);
    back.pipe(near);
  }
}

function slowedTo(bytesPerSecond: number): Transform {
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      const ms = (chunk.length / bytesPerSecond) * 1_000;
      setTimeout(() => done(null, chunk), ms).unref();
    },
  });
}
