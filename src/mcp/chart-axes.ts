/** How values of a unit and points of time are written along the axes of a chart. */

const BYTES = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** Short enough for an axis: "1.5 GiB/s", "40 %". */
export function valueLabel(value: number, unit: string): string {
  if (unit === 'bytes') return bytesLabel(value);
  if (unit === 'bytes/s') return `${bytesLabel(value)}/s`;
  if (unit === 'percent') return `${plain(value)} %`;
  if (unit === 'celsius') return `${plain(value)} °C`;
  return plain(value);
}

function bytesLabel(bytes: number): string {
  let value = bytes;
  let power = 0;
  while (Math.abs(value) >= 1_024 && power < BYTES.length - 1) {
    value /= 1_024;
    power += 1;
  }
  return `${plain(value)} ${BYTES[power]}`;
}

function plain(value: number): string {
  return String(Number(value.toPrecision(3)));
}

/** Multiples of powers of two for bytes, of which people read sizes off; undefined: as the library likes. */
export function valueStep(max: number, unit: string, ticks: number): number | undefined {
  if (!unit.startsWith('bytes') || max <= 0) return undefined;
  const power = 1_024 ** Math.floor(Math.log(max / ticks) / Math.log(1_024));
  const rough = max / ticks / power;
  const nice = [1, 2, 5, 10, 20, 50, 100, 200, 256, 512].find((step) => step >= rough) ?? 1_024;
  return nice * power;
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const STEPS_MS = [
  ...[1, 5, 10, 30].map((seconds) => seconds * SECOND_MS),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE_MS),
  ...[1, 2, 3, 6, 12].map((hours) => hours * HOUR_MS),
  ...[1, 2, 5, 7].map((days) => days * DAY_MS),
];

/** Round times in UTC, at most `count` of them. */
export function timeTicks(from: number, to: number, count: number): number[] {
  const step = STEPS_MS.find((ms) => (to - from) / ms <= count) ?? 14 * DAY_MS;
  const ticks: number[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) ticks.push(at);
  return ticks;
}

/** The time of day; the day where it begins; seconds only if the ticks are that close. */
export function timeLabel(at: number, ticks: readonly number[]): string {
  const iso = new Date(at).toISOString();
  if (at % DAY_MS === 0) return iso.slice(5, 10);
  const [first = 0, second = MINUTE_MS] = ticks;
  return second - first < MINUTE_MS ? iso.slice(11, 19) : iso.slice(11, 16);
}
