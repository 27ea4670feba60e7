import { expect, it } from 'vitest';
import { containerFigures, statsSchema } from './container-figures.ts';

function cpu(total: number, system: number, more: object = { online_cpus: 4 }) {
  return { cpu_usage: { total_usage: total }, system_cpu_usage: system, ...more };
}

function summary(reply: object) {
  const base = { cpu_stats: cpu(0, 0), precpu_stats: cpu(0, 0), memory_stats: {} };
  const stats = statsSchema.parse({ ...base, ...reply });
  return containerFigures(stats, stats.precpu_stats);
}

it('counts 100 per processor', () => {
  const { cpu_percent } = summary({
    cpu_stats: cpu(300, 2_000),
    precpu_stats: cpu(100, 1_000),
  });
  expect(cpu_percent).toBeCloseTo(80);
});

it('counts the processors itself where the engine does not', () => {
  const { cpu_percent } = summary({
    cpu_stats: { ...cpu(200, 2_000, {}), cpu_usage: { total_usage: 200, percpu_usage: [1, 2] } },
    precpu_stats: cpu(100, 1_000),
  });
  expect(cpu_percent).toBeCloseTo(20);
});

it.each([
  ['the container restarted', cpu(100, 2_000), cpu(300, 1_000)],
  ['the system’s counter went back', cpu(300, 1_000), cpu(100, 2_000)],
  ['there is no earlier reading', cpu(300, 1_000), { cpu_usage: {} }],
  ['nothing is known of processors', cpu(300, 2_000, {}), cpu(100, 1_000)],
])('counts no processor time when %s', (_why, cpu_stats, precpu_stats) => {
  expect(summary({ cpu_stats, precpu_stats }).cpu_percent).toBe(0);
});

it.each([
  ['cgroup v1', { total_inactive_file: 30, inactive_file: 1 }, 70],
  ['cgroup v2', { inactive_file: 20 }, 80],
  ['more cache than memory', { inactive_file: 200 }, 100],
  ['no details', null, 100],
])('leaves the page cache out of memory: %s', (_what, stats, expected) => {
  const { memory_usage } = summary({ memory_stats: { usage: 100, limit: 1_000, stats } });
  expect(memory_usage).toBe(expected);
});

it('adds up the networks', () => {
  const networks = { eth0: { rx_bytes: 1, tx_bytes: 2 }, eth1: { rx_bytes: 10, tx_bytes: null } };
  expect(summary({ networks })).toMatchObject({ network_rx: 11, network_tx: 2 });
});

it.each([
  ['v1', 'Read', 'Write'],
  ['v2', 'read', 'write'],
])('adds up what the disks read and wrote: cgroup %s', (_version, read, write) => {
  const entries = [
    { op: read, value: 1 },
    { op: write, value: 2 },
    { op: 'Sync', value: 100 },
    { op: read, value: 10 },
  ];
  const blkio_stats = { io_service_bytes_recursive: entries };
  expect(summary({ blkio_stats })).toMatchObject({ block_read: 11, block_write: 2 });
});
