import type { RawData } from 'ws';

/** The text of a text frame; undefined for a binary one, which no side of this protocol sends. */
export function frameText(data: RawData, isBinary: boolean): string | undefined {
  return isBinary || !Buffer.isBuffer(data) ? undefined : data.toString();
}
