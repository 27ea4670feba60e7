import type { Duplex } from 'node:stream';

/**
 * Answers an upgrade with a status, such as `404 Not Found`, and closes. Ended only, the stream would
 * stay half open for as long as the peer likes.
 */
export function refuseUpgrade(stream: Duplex, status: string): void {
  stream.once('finish', () => stream.destroy());
  stream.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
}
