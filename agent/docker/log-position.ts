import { engineTimeNanos, nowNanos } from './engine-time.ts';
import type { LogMessage } from './log-messages.ts';

type Source = LogMessage['source'];

/** How far one output was read. */
interface Mark {
  readonly time: string;
  readonly nanos: bigint;
  /** Messages of that time that were taken. */
  taken: number;
  /** The same, counted anew in what the engine sends again. */
  seen: number;
  /** The last of them. */
  text: Buffer;
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
  /** Whether the engine sends a message twice without being asked, as it does when logs rotate. */
  readonly #mayRepeat: boolean;
  /** The first message of all: what comes again and is older was never asked for. */
  #first: bigint | undefined;
  #last: Source | undefined;
  /** The output whose last message must come again if nothing was removed meanwhile. */
  #anchor: Source | undefined;
  #gaps = 0;

  constructor({ mayRepeat }: { mayRepeat: boolean }) {
    this.#mayRepeat = mayRepeat;
  }

  /** From where to ask again, nanoseconds; undefined if nothing was taken. */
  get since(): bigint | undefined {
    const mark = this.#last === undefined ? undefined : this.#marks.get(this.#last);
    return mark === undefined ? undefined : mark.nanos - DISORDER_NANOS;
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

  /** Whether the message was not taken before; it is from now on. */
  take({ source, time, text }: LogMessage): boolean {
    const mark = this.#marks.get(source);
    if (mark?.time === time) return this.#takeOfSameTime(mark, source, text);
    const nanos = engineTimeNanos(time);
    if (this.#isOld(source, nanos, mark)) return false;
    if (this.#anchor === source && mark !== undefined && mark.seen < mark.taken) this.#gaps += 1;
    this.#first ??= nanos;
    this.#marks.set(source, { time, nanos, taken: 1, seen: 1, text });
    this.#passed(source);
    return true;
  }

  #takeOfSameTime(mark: Mark, source: Source, text: Buffer): boolean {
    if (mark.seen < mark.taken) {
      mark.seen += 1;
      return false;
    }
    // A whole line that comes at once again, to the nanosecond: the engine has begun another file.
    if (this.#mayRepeat && text.at(-1) === NEWLINE && text.equals(mark.text)) return false;
    mark.seen += 1;
    mark.taken = mark.seen;
    mark.text = text;
    this.#passed(source);
    return true;
  }

  #isOld(source: Source, nanos: bigint, mark: Mark | undefined): boolean {
    const passed = mark?.nanos ?? this.#first;
    if (passed === undefined || !(this.#mayRepeat || this.#behind.has(source))) return false;
    if (mark === undefined ? nanos >= passed : nanos > passed) return false;
    // What was read lies in the future: the clock was set back.
    return passed <= nowNanos() + DISORDER_NANOS;
  }

  #passed(source: Source): void {
    this.#last = source;
    this.#behind.delete(source);
    if (this.#anchor === source) this.#anchor = undefined;
  }
}
