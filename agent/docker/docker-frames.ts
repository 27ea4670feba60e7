/** A piece of output of a container or exec; not aligned to lines or characters. */
export interface OutputPiece {
  readonly source: 'stdout' | 'stderr';
  readonly data: Buffer;
}

const HEADER_BYTES = 8;
const STDERR = 2;

/**
 * Takes apart the engine's multiplexed stream: per piece a header of one byte for the source, three
 * of padding and four for the length, big-endian. Pieces are handed on as they arrive, whatever
 * length the header announces.
 */
export async function* demultiplex(stream: AsyncIterable<Buffer>): AsyncGenerator<OutputPiece> {
  let header = Buffer.alloc(0);
  let remaining = 0;
  let source: OutputPiece['source'] = 'stdout';
  for await (const chunk of stream) {
    let rest = chunk;
    while (rest.length > 0) {
      if (remaining === 0) {
        const missing = HEADER_BYTES - header.length;
        header = Buffer.concat([header, rest.subarray(0, missing)]);
        rest = rest.subarray(missing);
        if (header.length < HEADER_BYTES) break;
        source = header[0] === STDERR ? 'stderr' : 'stdout';
        remaining = header.readUInt32BE(4);
        header = Buffer.alloc(0);
      } else {
        const data = rest.subarray(0, remaining);
        rest = rest.subarray(data.length);
        remaining -= data.length;
        yield { source, data };
      }
    }
  }
}
