import type { Readable } from 'node:stream';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';

const LINES_COUNT = 20;
const FRAME_HEADER_BYTES = 8;
const READ_MAX_MS = 5_000;

/** The last lines of a container's log; empty if they cannot be had. */
export async function containerLog(engine: DockerEngine, name: string): Promise<string[]> {
  const query = { stdout: true, stderr: true, tail: LINES_COUNT };
  const signal = AbortSignal.timeout(READ_MAX_MS);
  try {
    const bytes = await engine.stream({ path: `/containers/${name}/logs`, query, signal }, readAll);
    return withoutFrames(bytes).toString().trim().split('\n').slice(-LINES_COUNT);
  } catch {
    return [];
  }
}

async function readAll(stream: Readable): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

/** The engine's frames: one byte of stream, three of nothing, four of length, then the text. */
function withoutFrames(bytes: Buffer): Buffer {
  const texts: Buffer[] = [];
  let at = 0;
  while (at + FRAME_HEADER_BYTES <= bytes.length) {
    const end = at + FRAME_HEADER_BYTES + bytes.readUInt32BE(at + 4);
    texts.push(bytes.subarray(at + FRAME_HEADER_BYTES, end));
    at = end;
  }
  return Buffer.concat(texts);
}
