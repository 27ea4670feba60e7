import { nowNanos } from './engine-time.ts';
import type { LogMessage, UnendedLine } from './log-messages.ts';
import { RecentMessages } from './recent-messages.ts';

type Source = LogMessage['source'];

/** A message's place among those of its output, as it can be kept. */
export interface LinePlace {
  /** Nanoseconds since 1970. */
  readonly at: string;
  /** How many of that time come before it. */
  readonly n: number;
  /** The last line without end there was until then: see UnendedLine. */
  readonly unended?: { readonly at: string; readonly bytes: number } | undefined;
}

/** The last message that was taken of each output. */
export interface LinePlaces {
  readonly stdout?: LinePlace | undefined;
  readonly stderr?: LinePlace | undefined;
}

/** A message that was not taken before. */
export interface NewMessage extends LogMessage {
  /** How many of that time and output came before it. */
  readonly n: number;
  /** There if messages before it are lost: the time of the last one before those. */
  readonly lostSince?: bigint;
}

/** How far one output was read. */
interface Mark {
  readonly nanos: bigint;
  /** Messages of that time that were taken. */
  taken: number;
  /** The same, counted anew in what the engine sends again. */
  seen: number;
  /** The last of them. */
  text: Buffer;
}

export interface LogPositionOptions {
  /** Whether the engine sends a message twice without being asked, as it does when logs rotate. */
  readonly mayRepeat: boolean;
  /** Whether it begins with the last lines of a log: what is older was never asked for. */
  readonly isTail?: boolean;
  /** What was taken in an earlier reading. */
  readonly from?: LinePlaces;
}

const NEWLINE = 0x0a;

// The two outputs are stamped and then written each for itself, so that a time can stand in a log
// before one that is a little earlier.
const DISORDER_NANOS = 1_000_000_000n;

/**
 * How far a log was read, so that it can be asked for again without losing or doubling a message. The
 * engine's times are the key; those of one output never go back unless the clock does.
 */
export class LogPosition {
  readonly #marks = new Map<Source, Mark>();
  /** Outputs of which nothing new has come since the log was asked for again. */
  readonly #behind = new Set<Source>();
  /** Of each output; undefined if nothing comes twice without being asked for. */
  readonly #recent: Record<Source, RecentMessages> | undefined;
  readonly #isTail: boolean;
  #unended: UnendedLine | undefined;
  /** The first message of all. */
  #first: bigint | undefined;
  #last: Source | undefined;
  /** The output whose last message must come again if nothing was removed meanwhile. */
  #anchor: Source | undefined;
  #gaps = 0;

  constructor({ mayRepeat, isTail = false, from = {} }: LogPositionOptions) {
    if (mayRepeat) this.#recent = { stdout: new RecentMessages(), stderr: new RecentMessages() };
    this.#isTail = isTail;
    for (const source of ['stdout', 'stderr'] as const) this.#restore(source, from[source]);
  }

  /** From where to ask again, nanoseconds; undefined if nothing was taken. */
  get since(): bigint | undefined {
    const mark = this.#last === undefined ? undefined : this.#marks.get(this.#last);
    if (mark === undefined) return undefined;
    const now = nowNanos();
    // A time in the future is from before the clock was set back.
    return (mark.nanos < now ? mark.nanos : now) - DISORDER_NANOS;
  }

  /** The last line without end, at which the log ended once. */
  get unended(): UnendedLine | undefined {
    return this.#unended;
  }

  /** How often the message taken last was no longer there when the log was asked for again. */
  get gaps(): number {
    return this.#gaps;
  }

  /** What follows was asked for from `since` on. */
  again(): void {
    this.#anchor = this.#last;
    this.#behind.add('stdout').add('stderr');
    for (const mark of this.#marks.values()) mark.seen = 0;
  }

  /** Undefined for a message that was taken before. */
  take(message: LogMessage): NewMessage | undefined {
    const { source, nanos, text } = message;
    if (message.isUnended === true) this.#unended = { nanos, bytes: text.length };
    const mark = this.#marks.get(source);
    const isRepeated = this.#recent?.[source].hadBefore(message) === true;
    if (mark?.nanos === nanos) return this.#takeOfSameTime(mark, message);
    if (isRepeated || this.#isOld(source, nanos, mark)) return undefined;
    const lostSince = this.#lostBefore(source, nanos);
    this.#first ??= nanos;
    this.#marks.set(source, { nanos, taken: 1, seen: 1, text });
    this.#passed(source);
    return lostSince === undefined ? { ...message, n: 0 } : { ...message, n: 0, lostSince };
  }

  /** Takes leave of the bytes that the last messages came with, which are many more than theirs. */
  settle(): void {
    for (const mark of this.#marks.values()) mark.text = Buffer.from(mark.text);
  }

  #takeOfSameTime(mark: Mark, message: LogMessage): NewMessage | undefined {
    const { source, text } = message;
    if (mark.seen < mark.taken) {
      mark.seen += 1;
      mark.text = text;
      return undefined;
    }
    // A whole line that comes at once again, to the nanosecond: the engine has begun another file.
    if (this.#recent && text.at(-1) === NEWLINE && text.equals(mark.text)) return undefined;
    mark.seen += 1;
    mark.taken = mark.seen;
    mark.text = text;
    this.#passed(source);
    return { ...message, n: mark.taken - 1 };
  }

  #isOld(source: Source, nanos: bigint, mark: Mark | undefined): boolean {
    const passed = mark?.nanos ?? (this.#isTail ? this.#first : undefined);
    if (passed === undefined || nanos >= passed || !this.#behind.has(source)) return false;
    // What was read lies in the future: the clock was set back.
    return passed <= nowNanos() + DISORDER_NANOS;
  }

  /** The message that had to come again before this one and did not: the engine has removed it. */
  #lostBefore(source: Source, nanos: bigint): bigint | undefined {
    const mark = this.#anchor === undefined ? undefined : this.#marks.get(this.#anchor);
    if (mark === undefined || mark.seen >= mark.taken) return undefined;
    // One of the other output can stand before it.
    if (this.#anchor !== source && nanos <= mark.nanos + DISORDER_NANOS) return undefined;
    this.#anchor = undefined;
    this.#gaps += 1;
    return mark.nanos;
  }

  #passed(source: Source): void {
    this.#last = source;
    this.#behind.delete(source);
    if (this.#anchor === source) this.#anchor = undefined;
  }

  #restore(source: Source, place: LinePlace | undefined): void {
    if (place === undefined) return;
    const nanos = BigInt(place.at);
    const { unended } = place;
    const last = this.#last === undefined ? undefined : this.#marks.get(this.#last);
    if (last === undefined || nanos > last.nanos) this.#last = source;
    if (unended !== undefined) {
      this.#unended = { nanos: BigInt(unended.at), bytes: unended.bytes };
    }
    this.#marks.set(source, { nanos, taken: place.n + 1, seen: 0, text: Buffer.alloc(0) });
  }
}
