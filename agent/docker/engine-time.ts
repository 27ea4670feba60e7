const SECOND_AND_FRACTION = /^([^.Z+]+?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/;
const NANOS_PER_MS = 1_000_000n;
const NANOS_PER_SECOND = 1_000_000_000n;

/** Nanoseconds since 1970 of a time as the engine writes it: "2026-11-20T15:38:37.951219930Z". */
export function engineTimeNanos(time: string): bigint {
  const [, second = '', fraction = '', zone = ''] = SECOND_AND_FRACTION.exec(time) ?? [];
  const ms = Date.parse(second + zone);
  return (Number.isNaN(ms) ? 0n : BigInt(ms) * NANOS_PER_MS) + BigInt(fraction.padEnd(9, '0'));
}

/** As `since` and `until` of the engine: seconds with nine digits after the point. */
export function engineQueryTime(nanos: bigint): string {
  const atLeast0 = nanos < 0n ? 0n : nanos;
  const fraction = String(atLeast0 % NANOS_PER_SECOND).padStart(9, '0');
  return `${atLeast0 / NANOS_PER_SECOND}.${fraction}`;
}

export function nowNanos(): bigint {
  return BigInt(Date.now()) * NANOS_PER_MS;
}
