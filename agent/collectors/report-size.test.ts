import { expect, it } from 'vitest';
import { REPORT_MAX_BYTES } from '../../protocol/limits.ts';
import { type Metrics, metricsSchema } from '../../protocol/telemetry.ts';
import { fitReport } from './report-size.ts';

const usage = { used: 1, total: 2, percent: 50 };
const METRICS: Metrics = {
  cpu: 1,
  memory: usage,
  disk: usage,
  containers: { running: 300, stopped: 0 },
};
const container = (n: number) => ({
  id: String(n).padStart(12, '0'),
  name: `c-${n}-${'x'.repeat(240)}`,
  memory_usage: 1,
  memory_limit: 1,
  network_rx: 1,
  network_tx: 1,
  block_read: 1,
  block_write: 1,
});
const many = Array.from({ length: 300 }, (_, n) => container(n));

it('leaves a report alone that fits', () => {
  expect(fitReport(METRICS)).toBe(METRICS);
});

it('leaves out the last of the largest list until the hub takes it, and counts them', () => {
  const fitting = fitReport({ ...METRICS, container_usage: many, omitted: { container_usage: 5 } });
  expect(JSON.stringify(fitting).length).toBeLessThan(REPORT_MAX_BYTES - 500);
  const kept = fitting.container_usage ?? [];
  expect(kept).toEqual(many.slice(0, kept.length));
  expect(kept.length).toBeGreaterThan(80);
  expect(fitting.omitted).toEqual({ container_usage: 305 - kept.length });
  expect(metricsSchema.parse(fitting).container_usage).toHaveLength(kept.length);
});

it('ends when there is nothing left to leave out', () => {
  const disks = [{ mount: '/', ...usage }];
  expect(fitReport({ ...METRICS, disks }, 10)).toMatchObject({ disks: [], omitted: { disks: 1 } });
});
