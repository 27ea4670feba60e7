import { COLLECTED_LINE_MAX_BYTES } from '../../protocol/limits.ts';
import type { LogSink } from '../docker/log-follower.ts';
import type { LogMessage } from '../docker/log-messages.ts';
import type { LinePlace, LinePlaces, NewMessage } from '../docker/log-position.ts';

type Source = LogMessage['source'];

/** A line of a container's log, or a word in its place that lines are lost. */
export interface LoggedLine {
  readonly stream: Source;
  /** That of the last message it is made of. */
  readonly place: LinePlace;
  readonly text: string;
  readonly isCut: boolean;
  readonly isLost: boolean;
}

/**
 * Makes lines of the messages of one container, which are cut at COLLECTED_LINE_MAX_BYTES, and hands
 * them on one after the other.
 */
export class LoggedLines implements LogSink {
  readonly #put: (line: LoggedLine) => Promise<void>;
  readonly #begun = new Map<Source, UnfinishedLine>();
  /** Of a terminal: the log is to be read past it again. */
  #unended: LinePlace['unended'];
  #position: LinePlaces;
  /** The last line of each output, or the last word of lost ones. */
  #last: LinePlaces;

  /** @param position the last line that was taken of each output before */
  constructor(position: LinePlaces, put: (line: LoggedLine) => Promise<void>) {
    this.#unended = position.stdout?.unended;
    this.#position = position;
    this.#last = position;
    this.#put = put;
  }

  /** The last line of each output that was handed on. */
  get position(): LinePlaces {
    return this.#position;
  }

  async take(messages: readonly NewMessage[]): Promise<void> {
    for (const message of messages) {
      if (message.lostSince !== undefined) {
        await this.end();
        await this.#hand(this.#lost(message, message.lostSince));
      }
      await this.#add(message);
    }
  }

  async end(): Promise<void> {
    for (const source of this.#begun.keys()) await this.#finish(source);
  }

  async #add(message: NewMessage): Promise<void> {
    const { source, nanos, text, isUnended } = message;
    if (isUnended === true) this.#unended = { at: atOf(nanos), bytes: text.length };
    // What was written without a line end and is no part of a long line is a line by itself.
    if ((this.#begun.get(source)?.bytes ?? Infinity) < COLLECTED_LINE_MAX_BYTES) {
      await this.#finish(source);
    }
    const begun = this.#begun.get(source) ?? new UnfinishedLine();
    this.#begun.set(source, begun);
    begun.push(message);
    if (text.at(-1) === NEWLINE) await this.#finish(source);
  }

  async #finish(stream: Source): Promise<void> {
    const line = this.#begun.get(stream)?.line(stream);
    this.#begun.delete(stream);
    if (line === undefined) return;
    const unended = this.#unended;
    const place = unended === undefined ? line.place : { ...line.place, unended };
    await this.#hand({ ...line, place });
  }

  async #hand(line: LoggedLine): Promise<void> {
    await this.#put(line);
    const { stream, place, isLost } = line;
    this.#last = { ...this.#last, [stream]: place };
    if (!isLost) this.#position = { ...this.#position, [stream]: place };
  }

  /**
   * Stands right before the first line behind the gap, where another process that reads the same log
   * would put it too, so that the hub takes it once.
   */
  #lost({ source, nanos }: NewMessage, since: bigint): LoggedLine {
    const last = this.#last[source];
    const at = atOf(nanos - 1n);
    const isLater = last === undefined || BigInt(at) > BigInt(last.at);
    const place = isLater ? { at, n: 0 } : { at: last.at, n: last.n + 1 };
    const text = `[Tomo: lines between ${time(since)} and ${time(nanos)} are lost. The engine had removed them, as it does when a log rotates, before they were read.]`;
    return { stream: source, place, text, isCut: false, isLost: true };
  }
}

const NEWLINE = 0x0a;
const RETURN = '\r';
const NANOS_PER_MS = 1_000_000n;
/** What the hub takes for a time. */
const AT_MAX = 10n ** 20n - 1n;

/** The messages that a line has so far, of which no more is kept than is handed on. */
class UnfinishedLine {
  readonly #pieces: Buffer[] = [];
  #place: LinePlace = { at: '0', n: 0 };
  #kept = 0;
  #bytes = 0;

  /** Of its text, also what is not kept. */
  get bytes(): number {
    return this.#bytes;
  }

  push({ nanos, n, text }: NewMessage): void {
    const content = text.at(-1) === NEWLINE ? text.subarray(0, -1) : text;
    // One more than is handed on tells that the line was longer.
    const kept = content.subarray(0, COLLECTED_LINE_MAX_BYTES + 1 - this.#kept);
    // A copy, or a short piece would hold the whole chunk in memory.
    if (kept.length > 0) this.#pieces.push(Buffer.from(kept));
    this.#kept += kept.length;
    this.#bytes += text.length;
    this.#place = { at: atOf(nanos), n };
  }

  line(stream: Source): LoggedLine {
    const content = Buffer.concat(this.#pieces);
    const isCut = content.length > COLLECTED_LINE_MAX_BYTES;
    const text = wholeCharacters(content.subarray(0, COLLECTED_LINE_MAX_BYTES), isCut);
    // A terminal ends its lines with both.
    const shown = text.endsWith(RETURN) ? text.slice(0, -1) : text;
    return { stream, place: this.#place, text: shown, isCut, isLost: false };
  }
}

/** The character that the cut goes through is left out. */
function wholeCharacters(content: Buffer, isCut: boolean): string {
  const text = content.toString();
  return isCut && text.endsWith('\uFFFD') ? text.slice(0, -1) : text;
}

function atOf(nanos: bigint): string {
  if (nanos < 0n) return '0';
  return String(nanos < AT_MAX ? nanos : AT_MAX);
}

function time(nanos: bigint): string {
  return new Date(Number(BigInt(atOf(nanos)) / NANOS_PER_MS)).toISOString();
}
