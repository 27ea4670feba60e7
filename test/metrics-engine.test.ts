import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { requireDocker } from './support/docker-engine.ts';
import { DockerFixture } from './support/docker-fixture.ts';
import { eventually } from './support/hub.ts';

const host = requireDocker();

/** Other programs go on between two readings, and both are means over different seconds. */
const CPU_TOLERANCE_POINTS = 20;
const MEMORY_TOLERANCE = 0.1;
const DISK_TOLERANCE = 0.01;

const statsLineSchema = z.object({
  CPUPerc: z.string(),
  MemUsage: z.string(),
  BlockIO: z.string(),
});

const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1_024,
  MiB: 1_024 ** 2,
  GiB: 1_024 ** 3,
};

/** "1.5MiB / 32MiB" as bytes, each to three digits. */
function bytesOf(text: string): number[] {
  return text.split(' / ').map((size) => {
    const [, number, unit = ''] = /^([\d.]+)(\w+)$/.exec(size) ?? [];
    return Number(number) * (UNITS[unit] ?? Number.NaN);
  });
}

describe.skipIf(host === undefined)('metrics on a real engine', () => {
  const docker = new DockerFixture(host ?? '');
  const { call } = docker;
  afterAll(() => docker.cleanUp());

  const usageOf = async (name: string) => {
    const { container_usage } = await call('metrics.get', {});
    return container_usage?.find((container) => container.name === name);
  };

  it('say of a busy container what docker stats and docker.containers.stats say', async () => {
    const script = 'dd if=/dev/zero of=/dev/shm/held bs=1M count=16; while :; do :; done';
    const container = await docker.run('busy', {
      command: ['sh', '-c', script],
      memory: '64m',
      cpus: 0.5,
    });
    await eventually(async () => {
      const [ours, command, line] = await Promise.all([
        usageOf(container),
        call('docker.containers.stats', { container }),
        docker.cli('stats', '--no-stream', '--format', '{{json .}}', container),
      ]);
      const theirs = statsLineSchema.parse(JSON.parse(line));
      const [memory = 0, limit = 0] = bytesOf(theirs.MemUsage);
      const cpu = Number.parseFloat(theirs.CPUPerc);
      expect(ours?.cpu_percent).toBeGreaterThan(20);
      expect(Math.abs((ours?.cpu_percent ?? 0) - cpu)).toBeLessThan(CPU_TOLERANCE_POINTS);
      expect(memory).toBeGreaterThan(16 * 1_024 ** 2);
      expect(Math.abs((ours?.memory_usage ?? 0) - memory) / memory).toBeLessThan(MEMORY_TOLERANCE);
      expect(ours?.memory_limit).toBe(limit);
      expect(Math.abs(command.memory_usage - memory) / memory).toBeLessThan(MEMORY_TOLERANCE);
      expect(command.memory_limit).toBe(ours?.memory_limit);
    });
    await docker.cli('kill', container);
  });

  it('count what a container reads and writes as docker stats does', async () => {
    const script = 'dd if=/dev/zero of=/file bs=1M count=12 conv=fsync; sleep 1000';
    const container = await docker.run('writing', { command: ['sh', '-c', script] });
    await eventually(async () => {
      const [ours, line] = await Promise.all([
        usageOf(container),
        docker.cli('stats', '--no-stream', '--format', '{{json .}}', container),
      ]);
      const [read = 0, written = 0] = bytesOf(statsLineSchema.parse(JSON.parse(line)).BlockIO);
      // docker shows three digits; a kernel that does not count disks says 0 to both.
      expect(Math.abs((ours?.block_write ?? 0) - written)).toBeLessThanOrEqual(written * 0.01);
      expect(Math.abs((ours?.block_read ?? 0) - read)).toBeLessThanOrEqual(read * 0.01);
      expect([0, 12 * 1_024 ** 2]).toContain(Math.min(written, 12 * 1_024 ** 2));
      expect(ours?.rates?.block_write).toBeGreaterThanOrEqual(0);
    });
  });

  it('start anew with a container that restarts, and leave out one that is gone', async () => {
    const container = await docker.run('restarting', { command: ['sleep', '1000'] });
    await eventually(async () => expect((await usageOf(container))?.rates).toBeDefined());
    await docker.cli('restart', '-t', '0', container);
    const restarted = await eventually(async () => {
      const found = await usageOf(container);
      expect(found).toBeDefined();
      return found;
    });
    for (const rate of Object.values(restarted?.rates ?? {}))
      expect(rate).toBeGreaterThanOrEqual(0);
    await docker.cli('rm', '-f', container);
    await eventually(async () => expect(await usageOf(container)).toBeUndefined());
  });

  it('say of the server what /proc and df say, under both names', async () => {
    const metrics = await call('metrics.get', {});
    const again = await call('system.get_metrics', {});
    expect(Object.keys(again).toSorted()).toEqual(Object.keys(metrics).toSorted());
    const kibibytes = /^MemTotal:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
    expect(metrics.memory.total).toBe(Number(kibibytes) * 1_024);
    const cores = readFileSync('/proc/stat', 'utf8').match(/^cpu\d/gm);
    expect(metrics.cpu_cores).toHaveLength(cores?.length ?? 0);
    for (const { mount, used, total } of metrics.disks ?? []) {
      const df = execFileSync('df', ['-B1', '--output=size,used', mount], { encoding: 'utf8' });
      const [size = 0, taken = 0] = (df.split('\n')[1] ?? '').trim().split(/\s+/).map(Number);
      expect(total).toBe(size);
      expect(Math.abs(used - taken) / size).toBeLessThan(DISK_TOLERANCE);
    }
    // Other tests have containers of their own on the engine, which come and go.
    const container = await docker.run('counted', { command: ['sleep', '1000'] });
    expect(await usageOf(container)).toBeDefined();
    const { containers, container_usage = [] } = await call('metrics.get', {});
    expect(containers.running).toBeGreaterThan(0);
    expect(container_usage.map(({ name }) => name)).toContain(container);
  });
});
