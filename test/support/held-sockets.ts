import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const UPGRADE = [
  'GET /ws/agent HTTP/1.1',
  'Host: 127.0.0.1',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==',
  '',
  '',
].join('\r\n');

/** TCP connections that a test holds open, and how many of them the other side has closed. */
export class HeldSockets {
  readonly #sockets: Socket[] = [];
  #closed = 0;

  /** Opens one and writes `text` to it. */
  async open(port: number, text: string): Promise<Socket> {
    const socket = connect({ port, host: '127.0.0.1' });
    this.#sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#closed += 1;
    });
    await once(socket, 'connect');
    // Unread, its end would not be noticed.
    socket.resume();
    if (text !== '') socket.write(text);
    return socket;
  }

  /** Opens a WebSocket that says nothing; resolves when the hub waits for its first message. */
  async openSilent(port: number): Promise<void> {
    const socket = await this.open(port, UPGRADE);
    await once(socket, 'data');
  }

  get stillOpen(): number {
    return this.#sockets.length - this.#closed;
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
