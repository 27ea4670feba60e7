import { TomoError } from '../protocol/errors.ts';
import { type Line, LineCutter } from './line-cutter.ts';

/** A container with very many labels makes a long event; what the engine says otherwise is short. */
const LINE_MAX_BYTES = 1024 * 1024;

export interface JsonLine {
  readonly text: string;
  readonly value: unknown;
}

export interface JsonLinesOptions {
  /** Whether a line that is no JSON, or too long, is passed over. */
  readonly isLenient?: boolean;
}

/**
 * The values of a stream of the engine that has one on each line, with their texts. A last line that was
 * cut off is left out.
 * @throws TomoError DOCKER_REFUSED for a line that is no JSON, or too long, unless those are passed over
 */
export async function* jsonLines(
  bytes: AsyncIterable<Buffer>,
  { isLenient = false }: JsonLinesOptions = {},
): AsyncGenerator<JsonLine> {
  const cutter = new LineCutter(LINE_MAX_BYTES);
  for await (const chunk of bytes) {
    for (const line of cutter.push(chunk)) {
      const parsed = parse(line);
      if (parsed instanceof TomoError) {
        if (!isLenient) throw parsed;
      } else if (parsed !== undefined) yield parsed;
    }
    if (cutter.isCut && !isLenient) throw unreadable();
  }
  const last = cutter.end();
  const parsed = last === undefined ? undefined : parse(last);
  if (parsed !== undefined && !(parsed instanceof TomoError)) yield parsed;
}

/** Undefined for an empty line. */
function parse({ data, isCut }: Line): JsonLine | TomoError | undefined {
  const text = data.toString().trim();
  if (text === '') return undefined;
  if (isCut) return unreadable();
  try {
    return { text, value: JSON.parse(text) };
  } catch (error) {
    return unreadable(error);
  }
}

function unreadable(cause?: unknown): TomoError {
  return new TomoError(
    'DOCKER_REFUSED',
    'The Docker engine sent something that is no line of JSON. Is it a Docker or Podman engine of API 1.41 or later?',
    { cause },
  );
}
