import { z } from 'zod';
import { TomoError } from '../errors.ts';

const UNIT_SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 } as const;
const AGO = /^-?(?:\d{1,9}[smhdw])+$/;
const AGO_PART = /(\d+)([smhdw])/g;
const SECONDS = /^(\d{1,11})(?:\.(\d{1,9}))?$/;
const ISO = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?)?$/i;
const NANOS_PER_SECOND = 1_000_000_000n;

export const TIME_WORDS =
  'ISO time (UTC unless it names a zone), Unix seconds, how long ago ("10m", "7d"), or "now".';

/** A moment as a caller writes it. */
export const timeParam = z
  .union([z.string().max(64), z.number().nonnegative()])
  .refine((value) => readTime(value, 0) !== undefined, {
    message:
      'an ISO time such as "2026-11-20T15:30:00Z", Unix seconds, how long ago: "10m", "-10m", "1h30m", "7d", or "now"',
  });

/**
 * The moment in nanoseconds since 1970, undefined for what is none. An ISO time without a zone is UTC;
 * "10m" and "-10m" are that long before `nowMs`, but not before 1970.
 */
export function readTime(value: string | number, nowMs: number): bigint | undefined {
  const text = typeof value === 'number' ? value.toFixed(6) : value.trim();
  if (text === 'now') return BigInt(Math.round(nowMs)) * 1_000_000n;
  if (AGO.test(text)) return BigInt(Math.max(0, Math.round(nowMs - agoMs(text)))) * 1_000_000n;
  const seconds = SECONDS.exec(text);
  if (seconds !== null) return BigInt(seconds[1] ?? 0) * NANOS_PER_SECOND + nanos(seconds[2]);
  const iso = ISO.exec(text);
  if (iso === null) return undefined;
  const [, day, clock = '00:00', fraction, zone = 'Z'] = iso;
  const ms = Date.parse(`${day}T${clock}${zone.toUpperCase()}`);
  return Number.isNaN(ms) ? undefined : BigInt(ms) * 1_000_000n + nanos(fraction);
}

/**
 * Both ends of a span of time, nanoseconds since 1970.
 * @throws TomoError INVALID_PARAMS if it ends before it begins
 */
export function readTimeSpan(
  { since, until }: { since?: Time; until?: Time },
  nowMs: number = Date.now(),
): TimeSpan {
  const span = {
    since: since === undefined ? undefined : readTime(since, nowMs),
    until: until === undefined ? undefined : readTime(until, nowMs),
  };
  if (span.since !== undefined && span.until !== undefined && span.since > span.until) {
    throw new TomoError('INVALID_PARAMS', '"since" is later than "until": exchange them.');
  }
  return span;
}

type Time = string | number | undefined;

export interface TimeSpan {
  readonly since: bigint | undefined;
  readonly until: bigint | undefined;
}

function agoMs(text: string): number {
  let sum = 0;
  for (const [, amount, unit] of text.matchAll(AGO_PART)) {
    sum += Number(amount) * secondsOf(unit) * 1_000;
  }
  return sum;
}

function secondsOf(unit: string | undefined): number {
  return Object.entries(UNIT_SECONDS).find(([name]) => name === unit)?.[1] ?? 0;
}

/** "5" after the point is half a second. */
function nanos(fraction = ''): bigint {
  return BigInt(fraction.padEnd(9, '0'));
}
