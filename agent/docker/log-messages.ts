import { TomoError } from '../../protocol/errors.ts';
import { engineTimeNanos } from './engine-time.ts';

/** What a container wrote at one moment: a line, or a part of a long one. */
export interface LogMessage {
  readonly source: 'stdout' | 'stderr';
  /** As the engine writes it, to the nanosecond. */
  readonly time: string;
  /** The same, since 1970. */
  readonly nanos: bigint;
  /** Ends with a newline if the line ends with it. */
  readonly text: Buffer;
  /** The last of a terminal's log, which ends without a newline. */
  readonly isUnended?: true;
}

type Stamp = Pick<LogMessage, 'time' | 'nanos'>;

/**
 * Takes a log apart that was asked for with timestamps. The same bytes give the same messages however
 * they arrive in chunks, so that messages can be counted.
 * @throws TomoError DOCKER_REFUSED with the engine's own words, which it writes between the messages
 */
export interface LogParser {
  take(chunk: Buffer): Iterable<LogMessage>;
  /** What is left when the engine has ended the log. */
  end(): Iterable<LogMessage>;
}

const HEADER_BYTES = 8;
const STDERR = 2;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;
const TIME_MAX_BYTES = 35;
// The engine cuts lines into pieces of 16 KiB; only what is no Docker engine sends longer ones.
const MESSAGE_MAX_BYTES = 32 * 1024;
const PIECE_BYTES = 16 * 1024;

/** The log of a container without a terminal: a message per frame (see docker-frames.ts). */
export class FramedLog implements LogParser {
  #held: Buffer = Buffer.alloc(0);
  #source: LogMessage['source'] = 'stdout';
  /** Bytes of the frame that are still to come, with those that are held. */
  #remaining = 0;
  /** Of the frame; undefined at its beginning. */
  #stamp: Stamp | undefined;

  *take(chunk: Buffer): Generator<LogMessage> {
    let rest = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    for (;;) {
      if (this.#remaining === 0) {
        if (rest.length < HEADER_BYTES) break;
        this.#source = rest[0] === STDERR ? 'stderr' : 'stdout';
        this.#remaining = rest.readUInt32BE(4);
        this.#stamp = undefined;
        rest = rest.subarray(HEADER_BYTES);
      } else {
        const size = Math.min(this.#remaining, MESSAGE_MAX_BYTES);
        if (rest.length < size) break;
        yield this.#message(rest.subarray(0, size));
        this.#remaining -= size;
        rest = rest.subarray(size);
      }
    }
    this.#held = Buffer.from(rest);
  }

  /** Nothing: a frame that is not whole was cut off, and comes again. */
  *end(): Generator<LogMessage> {}

  #message(bytes: Buffer): LogMessage {
    const source = this.#source;
    if (this.#stamp !== undefined) return { source, ...this.#stamp, text: bytes };
    const time = leadingTime(bytes);
    if (time === undefined) throw engineWords(bytes);
    this.#stamp = { time, nanos: engineTimeNanos(time) };
    return { source, ...this.#stamp, text: bytes.subarray(time.length + 1) };
  }
}

/** A last line without an end, of a run that is over: nothing but its length tells it from the next one. */
export interface UnendedLine {
  /** Its time, since 1970. */
  readonly nanos: bigint;
  readonly bytes: number;
}

/** The log of a container with a terminal: one output, whose lines follow each other without frames. */
export class TerminalLog implements LogParser {
  readonly #unended: UnendedLine | undefined;
  #held: Buffer = Buffer.alloc(0);
  #stamp: Stamp = { time: '', nanos: 0n };
  /** Whether what comes next begins a line; a piece of a long line can have a time of its own. */
  #atLineStart = true;

  /** @param unended the line at which this log ended when it was read before */
  constructor(unended?: UnendedLine) {
    this.#unended = unended;
  }

  *take(chunk: Buffer): Generator<LogMessage> {
    this.#held = Buffer.concat([this.#held, chunk]);
    for (;;) {
      const message = this.#next();
      if (message === undefined) return;
      yield message;
    }
  }

  *end(): Generator<LogMessage> {
    if (this.#held.length === 0) return;
    const start = this.#textStart();
    yield { ...this.#message(start, this.#held.length), isUnended: true };
  }

  #next(): LogMessage | undefined {
    const newline = this.#held.indexOf(NEWLINE);
    if (newline < 0 && this.#held.length < TIME_MAX_BYTES + 1 + PIECE_BYTES) return undefined;
    const start = this.#textStart();
    const unended = start + (this.#unended?.bytes ?? 0);
    if (this.#stamp.nanos === this.#unended?.nanos && this.#beginsMessage(unended, newline)) {
      return this.#message(start, unended);
    }
    const isLine = newline >= 0 && newline - start < PIECE_BYTES;
    return this.#message(start, isLine ? newline + 1 : start + PIECE_BYTES);
  }

  #beginsMessage(at: number, newline: number): boolean {
    return at < newline && leadingTime(this.#held.subarray(at)) !== undefined;
  }

  /** Where the text begins, after its time if it has one. */
  #textStart(): number {
    const time = leadingTime(this.#held);
    if (time === undefined) {
      if (this.#atLineStart) throw engineWords(this.#held);
      return 0;
    }
    this.#stamp = { time, nanos: engineTimeNanos(time) };
    return time.length + 1;
  }

  #message(start: number, end: number): LogMessage {
    const text = this.#held.subarray(start, end);
    this.#held = this.#held.subarray(end);
    this.#atLineStart = text.length < PIECE_BYTES;
    return { source: 'stdout', ...this.#stamp, text };
  }
}

function leadingTime(bytes: Buffer): string | undefined {
  const space = bytes.subarray(0, TIME_MAX_BYTES + 1).indexOf(SPACE);
  if (space < 0) return undefined;
  const time = bytes.toString('latin1', 0, space);
  return TIME.test(time) ? time : undefined;
}

const WORDS_MAX_BYTES = 500;

/** Such as "Error grabbing logs: ..." for a file that is damaged. */
function engineWords(bytes: Buffer): TomoError {
  const words = bytes.subarray(0, WORDS_MAX_BYTES).toString().trim();
  return new TomoError(
    'DOCKER_REFUSED',
    `The Docker engine cannot read this log on: ${words}. Try a later "since", or a smaller "tail".`,
    { facts: { words } },
  );
}
