import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** Another way to an engine's Unix socket, that counts the connections by it which are open. */
export async function countConnections(
  host: string,
): Promise<AsyncDisposable & { readonly host: string; open(): number }> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const engine = connect(host.replace('unix://', ''));
    sockets.add(client);
    client.on('close', () => {
      sockets.delete(client);
      engine.destroy();
    });
    engine.on('close', () => client.destroy());
    for (const socket of [client, engine]) socket.on('error', () => undefined);
    client.pipe(engine).pipe(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    host: `tcp://127.0.0.1:${address.port}`,
    open: () => sockets.size,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
