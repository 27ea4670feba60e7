import type { Readable } from 'node:stream';
import { COLLECTED_LINE_MAX_BYTES } from '../../protocol/limits.ts';
import { demultiplex, type OutputPiece } from '../docker/docker-frames.ts';
import { type Line, LineCutter } from '../output/line-cutter.ts';

/** A line of a container's log as the engine kept it. */
export interface LoggedLine {
  readonly stream: 'stdout' | 'stderr';
  /** Nanoseconds since 1970. */
  readonly at: string;
  readonly text: string;
  readonly isCut: boolean;
}

const SPACE = 0x20;
/** Longer than any time that engines write before a line. */
const TIME_MAX_BYTES = 64;

/**
 * The lines of a log that is read with `timestamps`, of a container with or without a terminal. Lines
 * of more than COLLECTED_LINE_MAX_BYTES are cut.
 */
export async function* readLogLines(
  bytes: Readable,
  isTerminal: boolean,
): AsyncGenerator<LoggedLine> {
  const cutters = { stdout: newCutter(), stderr: newCutter() };
  for await (const { source, data, isStart } of isTerminal ? terminal(bytes) : demultiplex(bytes)) {
    const cutter = cutters[source];
    // What was written without a line end and is no part of a long line is a line by itself.
    if (isStart === true && cutter.bytes > 0 && cutter.bytes < COLLECTED_LINE_MAX_BYTES) {
      yield* parsed(source, cutter.end());
    }
    for (const line of cutter.push(data)) yield* parsed(source, line);
  }
  for (const source of ['stdout', 'stderr'] as const) yield* parsed(source, cutters[source].end());
}

function newCutter(): LineCutter {
  return new LineCutter(TIME_MAX_BYTES + COLLECTED_LINE_MAX_BYTES);
}

/** A terminal has one output, and the engine does not multiplex it. */
async function* terminal(bytes: Readable): AsyncGenerator<OutputPiece> {
  const chunks: AsyncIterable<Buffer> = bytes;
  for await (const data of chunks) yield { source: 'stdout', data };
}

/** Nothing of what has no time. */
function* parsed(stream: LoggedLine['stream'], line: Line | undefined): Generator<LoggedLine> {
  if (line === undefined) return;
  const end = line.data.indexOf(SPACE);
  if (end === -1 || end > TIME_MAX_BYTES) return;
  const at = nanoseconds(line.data.toString('latin1', 0, end));
  if (at === undefined) return;
  const content = line.data.subarray(end + 1);
  const isCut = line.isCut || content.length > COLLECTED_LINE_MAX_BYTES;
  const text = wholeCharacters(content.subarray(0, COLLECTED_LINE_MAX_BYTES), isCut);
  // A terminal ends its lines with both.
  yield { stream, at, text: text.endsWith('\r') ? text.slice(0, -1) : text, isCut };
}

/** The character that the cut goes through is left out. */
function wholeCharacters(content: Buffer, isCut: boolean): string {
  const text = content.toString();
  return isCut && text.endsWith('\uFFFD') ? text.slice(0, -1) : text;
}

const RFC3339 = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/;

function nanoseconds(time: string): string | undefined {
  const [, seconds, fraction = '', zone] = RFC3339.exec(time) ?? [];
  if (seconds === undefined || zone === undefined) return undefined;
  const ms = Date.parse(`${seconds}${zone}`);
  return Number.isNaN(ms) || ms <= 0 ? undefined : `${ms / 1_000}${fraction.padEnd(9, '0')}`;
}
