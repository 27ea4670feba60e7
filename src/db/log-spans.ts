/** A row of lines spans no more than this, unless there would be too many rows. */
const SPAN_MS = 5 * 60_000;
/** Rows of one batch, or one more. */
const SPANS_MAX_COUNT = 64;

/**
 * Lines in the order of their times, divided into spans, the earliest first. A search reads all rows
 * that reach over the time that it has come to: one late line must not make old ones part of that.
 */
export function splitBySpan<T>(lines: readonly T[], timeOf: (line: T) => number): T[][] {
  const ordered = lines.toSorted((one, other) => timeOf(one) - timeOf(other));
  const [first, last] = [ordered.at(0), ordered.at(-1)];
  if (first === undefined || last === undefined) return [];
  const spanMs = Math.max(SPAN_MS, (timeOf(last) - timeOf(first)) / SPANS_MAX_COUNT);
  const spans: T[][] = [];
  let endAt = Number.NEGATIVE_INFINITY;
  for (const line of ordered) {
    if (timeOf(line) > endAt) {
      endAt = timeOf(line) + spanMs;
      spans.push([]);
    }
    spans.at(-1)?.push(line);
  }
  return spans;
}
