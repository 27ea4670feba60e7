import { describe, expect, it } from 'vitest';
import type { OperationResult } from '../fleet/operations.ts';
import { timeLabel, timeTicks, valueLabel, valueStep } from './chart-axes.ts';
import { metricsChart } from './metrics-chart.ts';

type Metrics = OperationResult<'get_agent_metrics'>;

const START = Date.parse('2026-01-31T10:00:00Z');
const MINUTE = 60_000;

function metricsOf(...series: [metric: 'cpu' | 'load' | 'memory', values: (number | null)[]][]) {
  const [, first = []] = series[0] ?? [];
  const times = first.map((_, index) => new Date(START + index * MINUTE).toISOString());
  const units = { cpu: 'percent', load: 'processes', memory: 'bytes' } as const;
  const nothing = { min: null, avg: null, max: null, last: null };
  return {
    server_id: 'web-1',
    since: times[0] ?? '',
    until: times.at(-1) ?? '',
    step_seconds: 60,
    aggregate: 'avg',
    times,
    series: series.map(([metric, values]) => ({ metric, unit: units[metric], values, ...nothing })),
  } satisfies Metrics;
}

/** Width and height of a PNG, from its header (RFC 2083, section 4.1.1). */
function sizeOf(png: Buffer): [width: number, height: number] {
  expect(png.subarray(0, 8).toString('latin1')).toBe('\x89PNG\r\n\x1a\n');
  expect(png.subarray(12, 16).toString('latin1')).toBe('IHDR');
  return [png.readUInt32BE(16), png.readUInt32BE(20)];
}

describe('metricsChart', () => {
  it('is a PNG with a panel for each unit', async () => {
    const one = await metricsChart(metricsOf(['cpu', [1, 2, 3]]));
    expect(sizeOf(one)).toEqual([1_800, 2 * (44 + 260)]);
    const two = await metricsChart(metricsOf(['cpu', [1, 2]], ['load', [1, 2]], ['cpu', [3, 4]]));
    expect(sizeOf(two)).toEqual([1_800, 2 * (44 + 2 * 260)]);
  });

  it('is the same for the same numbers, and another for others', async () => {
    const first = await metricsChart(metricsOf(['cpu', [1, 2, 3]]));
    expect(await metricsChart(metricsOf(['cpu', [1, 2, 3]]))).toEqual(first);
    expect(await metricsChart(metricsOf(['cpu', [1, 9, 3]]))).not.toEqual(first);
    const named = { ...metricsOf(['cpu', [1, 2, 3]]), container: 'db' };
    expect(await metricsChart(named)).not.toEqual(first);
  });

  it.each([
    ['one value', [5]],
    ['only gaps', [null, null]],
    ['values alone between gaps', [null, 1, null, 2]],
    ['zeros', [0, 0, 0]],
    ['enormous numbers', [1e300, 1]],
  ])('draws %s', async (_what, values) => {
    const png = await metricsChart(metricsOf(['memory', values]));
    expect(sizeOf(png)).toEqual([1_800, 608]);
  });

  it('cuts a name that is too long for its line', async () => {
    const long = { ...metricsOf(['cpu', [1]]), container: 'x'.repeat(255) };
    const longer = { ...long, container: 'x'.repeat(254) };
    expect(await metricsChart(longer)).toEqual(await metricsChart(long));
  });
});

it.each([
  [0, 'bytes', '0 B'],
  [1_536, 'bytes', '1.5 KiB'],
  [5 * 1_024 ** 3, 'bytes/s', '5 GiB/s'],
  [40, 'percent', '40 %'],
  [51.5, 'celsius', '51.5 °C'],
  [1_234.5, 'processes', '1230'],
])('writes %d %s as %s', (value, unit, label) => {
  expect(valueLabel(value, unit)).toBe(label);
});

it('puts sizes at round numbers of their own unit', () => {
  expect(valueStep(7 * 1_024 ** 2, 'bytes/s', 5)).toBe(2 * 1_024 ** 2);
  expect(valueStep(900, 'bytes', 5)).toBe(200);
  expect(valueStep(0, 'bytes', 5)).toBeUndefined();
  expect(valueStep(100, 'percent', 5)).toBeUndefined();
});

it.each([
  [30_000, '10:00:00', 10],
  [60 * MINUTE, '10:00', 7],
  [26 * 60 * MINUTE, '12:00', 9],
  [30 * 24 * 60 * MINUTE, '02-01', 6],
  [365 * 24 * 60 * MINUTE, '02-12', 26],
])('puts times at round ones over %d ms', (span, first, count) => {
  const ticks = timeTicks(START, START + span, 10);
  expect(ticks.map((at) => timeLabel(at, ticks))[0]).toBe(first);
  expect(ticks.length).toBeLessThanOrEqual(count + 1);
});
