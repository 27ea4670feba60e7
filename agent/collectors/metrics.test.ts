import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { describe, expect, it } from 'vitest';
import { metricsSchema } from '../../protocol/telemetry.ts';
import type { EngineProbe } from '../engine-probe.ts';
import { CpuLoad } from './cpu-load.ts';
import { MetricsSampler } from './metrics.ts';

const open = new AbortController().signal;

function engine(counts: EngineProbe['counts']): EngineProbe {
  const unused = async (): Promise<never> => {
    throw new Error('unused');
  };
  return { counts, version: unused, id: unused };
}

describe('MetricsSampler', () => {
  it('measures what the system itself says', async () => {
    const sampler = new MetricsSampler(engine(async () => ({ running: 2, stopped: 1 })));
    const metrics = metricsSchema.parse(await sampler.measure(open));
    expect(metrics.containers).toEqual({ running: 2, stopped: 1 });
    expect(metrics.cpu).toBeLessThanOrEqual(100);
    expect(metrics.memory.total).toBe(os.totalmem());

    const available = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'));
    const used = metrics.memory.total - Number(available?.[1]) * 1_024;
    expect(Math.abs(metrics.memory.used - used) / metrics.memory.total).toBeLessThan(0.05);

    const [, row = ''] = execFileSync('df', ['-B1', '--output=size,used,pcent', '/'], {
      encoding: 'utf8',
    }).split('\n');
    const [size, dfUsed, percent] = row.trim().split(/\s+/);
    expect(metrics.disk.total).toBe(Number(size));
    expect(Math.abs(metrics.disk.used - Number(dfUsed)) / metrics.disk.total).toBeLessThan(0.01);
    // df rounds up.
    expect(Math.abs(metrics.disk.percent - Number.parseInt(percent ?? '', 10))).toBeLessThan(2);
  });

  it.each([
    ['fails', async () => await Promise.reject(new Error('no engine'))],
    ['hangs', () => new Promise<never>(() => undefined)],
  ])('counts no containers where the engine %s', async (_, counts) => {
    const metrics = await new MetricsSampler(engine(counts), 20).measure(open);
    expect(metrics.containers).toEqual({ running: 0, stopped: 0 });
  });
});

describe('CpuLoad', () => {
  it('gives calls that come at once the same answer', async () => {
    const load = new CpuLoad();
    const first = await load.measure(open);
    expect(await load.measure(open)).toBe(first);
  });

  it('measures anew once its span is over', async () => {
    const load = new CpuLoad();
    await load.measure(open);
    const untilMs = performance.now() + 400;
    while (performance.now() < untilMs) Math.sqrt(untilMs);
    // One of the processors was busy all the time.
    expect(await load.measure(open)).toBeGreaterThan(50 / os.cpus().length);
  });

  it('ends its wait when it is aborted', async () => {
    const measuring = new CpuLoad().measure(AbortSignal.abort());
    await expect(measuring).rejects.toHaveProperty('name', 'AbortError');
  });
});
