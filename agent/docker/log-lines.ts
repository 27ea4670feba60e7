import { LOG_LINE_MAX_BYTES } from '../../protocol/limits.ts';
import type { LogMessage } from './log-messages.ts';

export interface LineFilter {
  readonly grep?: string | undefined;
  readonly ignoreCase: boolean;
  readonly timestamps: boolean;
}

/** A whole line as it is passed on. */
export interface LogLine {
  readonly source: LogMessage['source'];
  readonly text: Buffer;
}

/** Makes lines of messages: those that are looked for, with their times if wanted. */
export class LogLines {
  readonly #begun = { stdout: new BegunLine(), stderr: new BegunLine() };
  readonly #timestamps: boolean;
  readonly #matches: (text: Buffer) => boolean;

  constructor({ grep, ignoreCase, timestamps }: LineFilter) {
    this.#timestamps = timestamps;
    this.#matches = matcher(grep, ignoreCase);
  }

  take(message: LogMessage): LogLine | undefined {
    const begun = this.#begun[message.source];
    if (begun.bytes === 0 && isEnded(message.text)) return this.#line(message);
    begun.push(message);
    if (!isEnded(message.text) && begun.bytes < LOG_LINE_MAX_BYTES) return undefined;
    return this.#line({ ...message, ...begun.takeAll() });
  }

  /** Lines that were begun and get no other end any more: the container has stopped. */
  end(ending: '' | '\n'): LogLine[] {
    const lines: LogLine[] = [];
    for (const source of ['stdout', 'stderr'] as const) {
      if (this.#begun[source].bytes === 0) continue;
      const { time, text } = this.#begun[source].takeAll();
      const line = this.#line({ source, time, text: Buffer.concat([text, Buffer.from(ending)]) });
      if (line !== undefined) lines.push(line);
    }
    return lines;
  }

  #line({ source, time, text }: Omit<LogMessage, 'nanos'>): LogLine | undefined {
    if (!this.#matches(text)) return undefined;
    if (!this.#timestamps) return { source, text };
    return { source, text: Buffer.concat([Buffer.from(`${time} `, 'latin1'), text]) };
  }
}

const NEWLINE = 0x0a;

function isEnded(text: Buffer): boolean {
  return text.at(-1) === NEWLINE;
}

function matcher(grep: string | undefined, ignoreCase: boolean): (text: Buffer) => boolean {
  if (grep === undefined) return () => true;
  if (!ignoreCase) {
    const bytes = Buffer.from(grep);
    return (text) => text.includes(bytes);
  }
  const lower = grep.toLowerCase();
  return (text) => text.toString().toLowerCase().includes(lower);
}

// Past this many they are joined, so that short ones cost no more memory than they hold.
const PIECES_MAX_COUNT = 256;

/** Pieces of a long line; its time is that of the first. */
class BegunLine {
  #pieces: Buffer[] = [];
  #time = '';
  bytes = 0;

  push({ time, text }: LogMessage): void {
    if (this.bytes === 0) this.#time = time;
    // A copy, or a short piece would hold the whole chunk in memory.
    this.#pieces.push(Buffer.from(text));
    if (this.#pieces.length > PIECES_MAX_COUNT) this.#pieces = [Buffer.concat(this.#pieces)];
    this.bytes += text.length;
  }

  takeAll(): { time: string; text: Buffer } {
    const text = Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.bytes = 0;
    return { time: this.#time, text };
  }
}
