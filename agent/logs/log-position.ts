import { compareNanoseconds } from '../../protocol/log-collection.ts';
import type { LoggedLine } from './log-lines.ts';

/** A line's place in the log of one output: its time, and how many lines of that time come before it. */
export interface LinePlace {
  readonly at: string;
  readonly n: number;
}

/** The last line that was taken of each output of a container. */
export type LogPosition = Partial<Record<LoggedLine['stream'], LinePlace>>;

const NANOSECOND_DIGITS = 9;
/** The two outputs are written side by side: one's line can stand before an earlier one of the other. */
const OVERLAP_SECONDS = 1;

/** What to ask the engine for, in seconds as it wants them, to get all lines behind the position. */
export function sinceOf(position: LogPosition | undefined, otherwise: string): string {
  const places = Object.values(position ?? {});
  if (places.length === 0) return decimal(otherwise, 0);
  const [first, second = first] = places.map(({ at }) => at);
  const latest = compareNanoseconds(first ?? '', second ?? '') > 0 ? first : second;
  return decimal(latest ?? otherwise, OVERLAP_SECONDS);
}

function decimal(at: string, lessSeconds: number): string {
  const whole = at.padStart(NANOSECOND_DIGITS + 1, '0');
  const seconds = Number(whole.slice(0, -NANOSECOND_DIGITS)) - lessSeconds;
  return `${Math.max(0, seconds)}.${whole.slice(-NANOSECOND_DIGITS)}`;
}

/** Numbers the lines of one reading, and knows those that were taken in an earlier one. */
export class PlaceCounter {
  readonly #last: LogPosition = {};
  readonly #taken: LogPosition;
  /** Outputs whose lines are all new from here on, whatever a clock that was moved says. */
  readonly #isPast: Partial<Record<LoggedLine['stream'], boolean>> = {};

  constructor(taken: LogPosition = {}) {
    this.#taken = taken;
  }

  /** Undefined for a line that was taken before. */
  place({ stream, at }: Pick<LoggedLine, 'stream' | 'at'>): LinePlace | undefined {
    const last = this.#last[stream];
    const place = { at, n: last?.at === at ? last.n + 1 : 0 };
    this.#last[stream] = place;
    if (this.#isPast[stream] !== true && !isBehind(place, this.#taken[stream])) return undefined;
    this.#isPast[stream] = true;
    return place;
  }
}

function isBehind(place: LinePlace, taken: LinePlace | undefined): boolean {
  if (taken === undefined) return true;
  return (compareNanoseconds(place.at, taken.at) || place.n - taken.n) > 0;
}
