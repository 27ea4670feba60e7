import { z } from 'zod';

const RELATIVE = /^-(\d{1,6})(s|m|h|d|w)$/;

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 60 * 60_000,
  d: 24 * 60 * 60_000,
  w: 7 * 24 * 60 * 60_000,
};

const isoSchema = z.iso.datetime({ offset: true });

/** A point in time as people and models write it. */
export const timeSchema = z
  .string()
  .max(64)
  .refine((text) => timeOf(text, 0) !== undefined, {
    message:
      'ISO 8601 with a time zone ("2026-01-31T12:00:00Z"), "now", or back from now: "-90s", "-30m", "-6h", "-7d", "-2w"',
  });

/** Milliseconds since the epoch. */
export function timeOf(text: string, now: number): number | undefined {
  if (text === 'now') return now;
  const [, count, unit = ''] = RELATIVE.exec(text) ?? [];
  const unitMs = UNIT_MS[unit];
  if (unitMs !== undefined) return now - Number(count) * unitMs;
  return isoSchema.safeParse(text).success ? Date.parse(text) : undefined;
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
