import { TomoError } from '../../protocol/errors.ts';

const LINE_MAX_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;

/**
 * The values of a stream of the engine that has one on each line, with their texts.
 * @throws TomoError DOCKER_REFUSED for a line that is no JSON, or too long
 */
export async function* jsonLines(
  bytes: AsyncIterable<Buffer>,
): AsyncGenerator<{ readonly text: string; readonly value: unknown }> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of bytes) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    let begin = 0;
    for (let end = held.indexOf(NEWLINE); end >= 0; end = held.indexOf(NEWLINE, begin)) {
      const text = held.toString('utf8', begin, end).trim();
      begin = end + 1;
      if (text !== '') yield { text, value: parse(text) };
    }
    held = Buffer.from(held.subarray(begin));
    if (held.length > LINE_MAX_BYTES) throw unreadable();
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw unreadable(error);
  }
}

function unreadable(cause?: unknown): TomoError {
  return new TomoError(
    'DOCKER_REFUSED',
    'The Docker engine sent something that is no line of JSON. Is it a Docker or Podman engine of API 1.41 or later?',
    { cause },
  );
}
