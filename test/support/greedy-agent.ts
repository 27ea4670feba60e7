/**
 * An agent that sends one frame as fast as the hub takes it, and comes back whenever it is cut off:
 * `node greedy-agent.ts URL TOKEN KIND [RECONNECTS]`. Writes a line for each connection.
 */
import { once } from 'node:events';
import { WebSocket } from 'ws';

const [url = '', token = '', kind = '', reconnects = ''] = process.argv.slice(2);
const values = (count: number): string => `[${'1,'.repeat(count - 1)}1]`;
const names = Array.from({ length: 120_000 }, (_, index) => `"key-${index}-${index}":[]`).join();
const FRAMES: Record<string, string> = {
  notifications: `{"jsonrpc":"2.0","method":"x","params":{${names}}}`,
  answers: `{"jsonrpc":"2.0","id":"nobody","result":{${names}}}`,
  events: `{"jsonrpc":"2.0","method":"agent.event","params":{"type":"x","pad":${values(20_000)}}}`,
};
const frame = FRAMES[kind] ?? '';
const AT_ONCE = 4;
const FRAMES_PER_SOCKET = reconnects === '' ? Number.POSITIVE_INFINITY : 5;

for (;;) {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  socket.on('error', () => undefined);
  const closed = once(socket, 'close');
  socket.once('open', () => {
    socket.send(JSON.stringify({ type: 'authenticate', token, version: '1.0.0', protocol: 1 }));
  });
  socket.once('message', () => {
    process.stdout.write('connected\n');
    let sent = 0;
    const next = (): void => {
      sent += 1;
      if (sent <= FRAMES_PER_SOCKET) socket.send(frame, () => setImmediate(next));
      else socket.terminate();
    };
    for (let count = 0; count < AT_ONCE; count += 1) next();
  });
  await closed;
}
