import { readTimeSpan } from '../../protocol/commands/time-param.ts';

interface TimeRange {
  readonly since: number | undefined;
  readonly until: number | undefined;
}

/** Both ends in milliseconds since 1970. Throws INVALID_PARAMS if it ends before it begins. */
export function timeRangeOf(...span: Parameters<typeof readTimeSpan>): TimeRange {
  const { since, until } = readTimeSpan(...span);
  return { since: millis(since), until: millis(until) };
}

function millis(nanos: bigint | undefined): number | undefined {
  return nanos === undefined ? undefined : Number(nanos / 1_000_000n);
}

/** Steps that people can read times off. */
const STEPS_SECONDS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
] as const;
const DAY_SECONDS = 86_400;

/** The shortest such step that is no shorter than `seconds`. */
export function niceStep(seconds: number): number {
  const nice = STEPS_SECONDS.find((step) => step >= seconds);
  return nice ?? Math.ceil(seconds / DAY_SECONDS) * DAY_SECONDS;
}
