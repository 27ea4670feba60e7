import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { describe, expect, it } from 'vitest';
import { metricsSchema } from '../../protocol/telemetry.ts';
import type { EngineProbe } from '../engine-probe.ts';
import { MetricsSampler } from './metrics.ts';

const open = new AbortController().signal;
const hanging = (): Promise<never> => new Promise(() => undefined);

function engine(counts: EngineProbe['counts']): EngineProbe {
  const unused = async (): Promise<never> => {
    throw new Error('unused');
  };
  return { counts, version: unused, id: unused };
}

const two = engine(async () => ({ running: 2, stopped: 1 }));

describe('MetricsSampler', () => {
  it('measures what the system itself says', async () => {
    const metrics = metricsSchema.parse(await new MetricsSampler(two).measure(open));
    expect(metrics.containers).toEqual({ running: 2, stopped: 1 });
    expect(metrics.cpu).toBeLessThanOrEqual(100);
    expect(metrics.memory.total).toBe(os.totalmem());

    // 5 % of all memory: other programs go on between the two readings.
    const available = meminfo('MemAvailable');
    const used = metrics.memory.total - available;
    expect(Math.abs(metrics.memory.used - used) / metrics.memory.total).toBeLessThan(0.05);

    const df = diskFree('/');
    expect(metrics.disk.total).toBe(df.size);
    expect(Math.abs(metrics.disk.used - df.used) / df.size).toBeLessThan(0.01);
    // df rounds up.
    expect(Math.abs(metrics.disk.percent - df.percent)).toBeLessThan(2);
  });

  it('measures cores, load, swap, disks and network, the rates at once', async () => {
    const metrics = metricsSchema.parse(await new MetricsSampler(two).measure(open));
    expect(metrics.cpu_cores).toHaveLength(os.cpus().length);
    expect(metrics.load?.[0]).toBeCloseTo(os.loadavg()[0] ?? -1, 0);
    expect(metrics.swap?.total).toBe(meminfo('SwapTotal'));
    expect(metrics.network_io?.rx).toBeGreaterThanOrEqual(0);
    expect(metrics.disk_io?.write).toBeGreaterThanOrEqual(0);
    const shown = readFileSync('/proc/1/net/dev', 'utf8');
    for (const network of metrics.network ?? []) {
      expect(shown).toContain(`${network.interface}:`);
      expect(network.rx_rate).toBeGreaterThanOrEqual(0);
    }
    for (const { mount, total, used } of metrics.disks ?? []) {
      const df = diskFree(mount);
      expect(total).toBe(df.size);
      expect(Math.abs(used - df.used) / df.size).toBeLessThan(0.01);
    }
    expect(metrics.disks?.map(({ mount }) => mount)).toContain('/');
  });

  it.each([
    ['fails', async () => await Promise.reject(new Error('no engine'))],
    ['hangs', hanging],
  ])('loses only what is known of containers where the engine %s', async (_, answer) => {
    const options = { engineLimitMs: 20, containers: { request: answer } };
    const metrics = await new MetricsSampler(engine(answer), options).measure(open);
    expect(metrics.containers).toEqual({ running: 0, stopped: 0 });
    expect(metrics.container_usage).toBeUndefined();
    expect(metrics.memory.total).toBe(os.totalmem());
  });

  it('gives calls that come together or soon after each other the same answer', async () => {
    const sampler = new MetricsSampler(two);
    const [first, second] = await Promise.all([sampler.measure(open), sampler.measure(open)]);
    expect(second).toBe(first);
    expect(await sampler.measure(open)).toBe(first);
  });

  it('measures anew once its span is over', async () => {
    const sampler = new MetricsSampler(two);
    await sampler.measure(open);
    const untilMs = performance.now() + 400;
    while (performance.now() < untilMs) Math.sqrt(untilMs);
    // One of the processors was busy all the time.
    expect((await sampler.measure(open)).cpu).toBeGreaterThan(50 / os.cpus().length);
  });

  it('stops waiting when it is aborted, and measures for the next who asks', async () => {
    const sampler = new MetricsSampler(two);
    const aborted = AbortSignal.abort();
    await expect(sampler.measure(aborted)).rejects.toHaveProperty('name', 'AbortError');
    const leaving = new AbortController();
    const first = sampler.measure(leaving.signal);
    leaving.abort();
    await expect(first).rejects.toHaveProperty('name', 'AbortError');
    expect((await sampler.measure(open)).containers.running).toBe(2);
  });
});

function meminfo(field: string): number {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm');
  return Number(line.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) * 1_024;
}

function diskFree(path: string): { size: number; used: number; percent: number } {
  const [, row = ''] = execFileSync('df', ['-B1', '--output=size,used,pcent', path], {
    encoding: 'utf8',
  }).split('\n');
  const [size, used, percent] = row.trim().split(/\s+/);
  return { size: Number(size), used: Number(used), percent: Number.parseInt(percent ?? '', 10) };
}
