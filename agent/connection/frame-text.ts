import type { RawData } from 'ws';

/** The text of a frame. With the sockets' default `binaryType` it is a Buffer, never the others. */
export function frameText(data: RawData): string {
  return Buffer.isBuffer(data) ? data.toString('utf8') : '';
}
