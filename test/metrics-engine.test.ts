import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { DockerEngine } from '../docker-engine/docker-engine.ts';
import { requireDocker } from './support/docker-engine.ts';
import { DockerFixture } from './support/docker-fixture.ts';
import { eventually } from './support/hub.ts';
import { around, bounds, expectWithin, MeasuredServer } from './support/measured-server.ts';
import { Started } from './support/processes.ts';
import { programOutput } from './support/run-program.ts';
import { report } from './support/test-size.ts';
import { WORKLOAD_IMAGE } from './support/workload-image.ts';

const host = requireDocker();

/**
 * Shares and counters are held against the engine's own just before and just after: they must lie
 * between what these allow. `docker stats` rounds, and takes its share of one second out of several:
 */
const CPU_TOLERANCE_POINTS = 2;
const STATS_CPU_TOLERANCE_POINTS = 10;
const STATS_TOLERANCE = 0.02;

const MIB = 1_024 ** 2;
const WRITTEN_BYTES = 12 * MIB;
const READ_BYTES = 4 * MIB;
const PINGS_COUNT = 100;
const PING_BYTES = 1_000;

const engineSchema = z.object({
  cpu_stats: z.object({
    cpu_usage: z.object({ total_usage: z.number() }),
    system_cpu_usage: z.number(),
    online_cpus: z.number(),
  }),
  memory_stats: z.object({ usage: z.number(), limit: z.number() }),
  networks: z
    .record(z.string(), z.object({ rx_bytes: z.number(), tx_bytes: z.number() }))
    .optional(),
  blkio_stats: z.object({
    io_service_bytes_recursive: z.array(z.object({ op: z.string(), value: z.number() })).nullable(),
  }),
});
type EngineFigures = z.output<typeof engineSchema>;

const lineSchema = z.object({
  CPUPerc: z.string(),
  MemUsage: z.string(),
  NetIO: z.string(),
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
function bytesOf(text: string): [number, number] {
  const [one = Number.NaN, other = Number.NaN] = text.split(' / ').map((size) => {
    const [, number, unit = ''] = /^([\d.]+)(\w+)$/.exec(size) ?? [];
    return Number(number) * (UNITS[unit] ?? Number.NaN);
  });
  return [one, other];
}

/** The whole disk that a folder is on, if this machine has it. */
async function diskOf(folder: string): Promise<string | undefined> {
  const { stdout } = await programOutput('df', ['--output=source', folder]);
  const device = await realpath(stdout.split('\n')[1] ?? '').catch(() => '');
  const name = basename(device);
  if (!device.startsWith('/dev/')) return undefined;
  if (existsSync(`/sys/block/${name}`)) return device;
  // A partition's folder is in its disk's.
  const place = await realpath(`/sys/class/block/${name}`).catch(() => undefined);
  return place && `/dev/${basename(dirname(place))}`;
}

describe.skipIf(host === undefined)('metrics of containers', () => {
  const docker = new DockerFixture(host ?? '');
  const engine = new DockerEngine(host);
  const started = new Started();
  let server: MeasuredServer;
  beforeAll(async () => {
    server = await MeasuredServer.start(started, { DOCKER_HOST: host ?? '' });
  });
  afterAll(async () => {
    await docker.cleanUp();
    await started[Symbol.asyncDispose]();
  });

  /** Answers the container's name. */
  async function run(suffix: string, script: string, ...options: string[]): Promise<string> {
    const name = docker.name(suffix);
    const command = [WORKLOAD_IMAGE, 'sh', '-c', script];
    await docker.cli('run', '-d', '--name', name, ...options, ...command);
    return name;
  }

  const figuresOf = (container: string) => async (): Promise<EngineFigures> => {
    const query = { stream: false, 'one-shot': true };
    return engineSchema.parse(
      await engine.request({ path: `/containers/${container}/stats`, query }),
    );
  };

  async function dockerStats(container: string) {
    const format = ['--no-stream', '--format', '{{json .}}'];
    const line = lineSchema.parse(JSON.parse(await docker.cli('stats', ...format, container)));
    const [memory, limit] = bytesOf(line.MemUsage);
    const [rx, tx] = bytesOf(line.NetIO);
    const [read, written] = bytesOf(line.BlockIO);
    return { cpu: Number.parseFloat(line.CPUPerc), memory, limit, rx, tx, read, written };
  }

  const usageIn = (metrics: Awaited<ReturnType<MeasuredServer['metrics']>>, name: string) =>
    metrics.container_usage?.find((container) => container.name === name);

  it('say how busy one is as the engine’s counters and docker stats do', async () => {
    const options = ['--network', 'none', '--cpus', '0.5'];
    const container = await run('busy', 'while :; do :; done', ...options);
    const seen: number[] = [];
    const span = await server.span(figuresOf(container), async () => {
      while (seen.length < 3) seen.push((await dockerStats(container)).cpu);
    });
    const percent = usageIn(span.second.metrics, container)?.cpu_percent;
    const { min, max } = bounds(
      span,
      ({ cpu_stats }) => cpu_stats.cpu_usage.total_usage,
      ({ cpu_stats }) => cpu_stats.system_cpu_usage,
    );
    const whole = 100 * span.first.before.cpu_stats.online_cpus;
    expectWithin(percent, { min: min * whole, max: max * whole }, CPU_TOLERANCE_POINTS, 'counters');
    const stats = { min: Math.min(...seen), max: Math.max(...seen) };
    expectWithin(percent, stats, STATS_CPU_TOLERANCE_POINTS, 'docker stats');
    expect(percent).toBeGreaterThan(1);
    await docker.cli('rm', '-f', container);
  });

  it('say what memory one has as docker stats does, without the cache of its files', async () => {
    const script =
      'dd if=/dev/zero of=/dev/shm/held bs=1M count=16; dd if=/dev/zero of=/file bs=1M count=12; echo done; sleep 1000';
    const container = await run('holding', script, '--network', 'none', '--memory', '64m');
    await eventually(async () => expect(await docker.cli('logs', container)).toContain('done'));
    const found = await server.bracketed(async () => ({
      shown: await dockerStats(container),
      all: (await figuresOf(container)()).memory_stats,
    }));
    const ours = usageIn(found.metrics, container);
    const range = around(found, ({ shown }) => shown.memory);
    expectWithin(ours?.memory_usage, range, range.max * STATS_TOLERANCE, 'docker stats');
    expect(ours?.memory_usage).toBeGreaterThan(16 * MIB);
    const { usage, limit } = found.before.all;
    expect(usage - (ours?.memory_usage ?? 0)).toBeGreaterThan(8 * MIB);
    expect(ours?.memory_limit).toBe(limit);
    await docker.cli('rm', '-f', container);
  });

  it('count what one sends and receives as the engine and docker stats do', async () => {
    const container = await run('pinging', 'sleep 1000');
    const format = '{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}';
    const gateway = await docker.cli('inspect', '-f', format, container);
    const pings = ['-q', '-A', '-c', `${PINGS_COUNT}`, '-s', `${PING_BYTES}`, gateway];
    const ping = () => docker.cli('exec', container, 'ping', ...pings);
    const counters = async () => ({
      counted: (await figuresOf(container)()).networks?.['eth0'],
      atSeconds: performance.now() / 1_000,
    });
    const span = await server.span(counters, ping);
    const found = await server.bracketed(() => dockerStats(container));
    const ours = usageIn(span.second.metrics, container);
    for (const [field, way, shown] of [
      ['network_rx', 'rx_bytes', 'rx'],
      ['network_tx', 'tx_bytes', 'tx'],
    ] as const) {
      type Reading = Awaited<ReturnType<typeof counters>>;
      const counter = ({ counted }: Reading): number => counted?.[way] ?? Number.NaN;
      expectWithin(ours?.[field], around(span.second, counter), 0, field);
      expect(ours?.[field]).toBeGreaterThan(PINGS_COUNT * PING_BYTES);
      const rate = bounds(span, counter, ({ atSeconds }) => atSeconds);
      expectWithin(ours?.rates?.[field], rate, 1, `rate of ${field}`);
      const told = around(found, (stats) => stats[shown]);
      const tolerance = told.max * STATS_TOLERANCE;
      const later = usageIn(found.metrics, container)?.[field];
      expectWithin(later, told, tolerance, `${field} of docker stats`);
    }
    await docker.cli('rm', '-f', container);
  });

  it('count what one reads and writes on disk as the engine and docker stats do', async () => {
    const write = `dd if=/dev/zero of=/file bs=1M count=${WRITTEN_BYTES / MIB} oflag=direct`;
    const read = `dd if=/file of=/dev/null bs=1M count=${READ_BYTES / MIB} iflag=direct`;
    const script = `${write}; ${read}; echo done; sleep 1000`;
    const disk = await diskOf(await docker.cli('info', '-f', '{{.DockerRootDir}}'));
    // Many kernels count for a group only while it has a limit; this one is never reached.
    const limits = ['write', 'read'].flatMap((way) => [`--device-${way}-bps`, `${disk}:10gb`]);
    const flags = disk === undefined ? [] : limits;
    const container = await run('writing', script, '--network', 'none', ...flags);
    await eventually(async () => expect(await docker.cli('logs', container)).toContain('done'));
    const found = await server.bracketed(async () => ({
      shown: await dockerStats(container),
      counted: (await figuresOf(container)()).blkio_stats.io_service_bytes_recursive,
    }));
    const ours = usageIn(found.metrics, container);
    for (const [field, op, shown] of [
      ['block_read', 'read', 'read'],
      ['block_write', 'write', 'written'],
    ] as const) {
      const range = around(found, ({ counted }) =>
        (counted ?? [])
          .filter((entry) => entry.op.toLowerCase() === op)
          .reduce((sum, { value }) => sum + value, 0),
      );
      expectWithin(ours?.[field], range, 0, field);
      const told = around(found, (reading) => reading.shown[shown]);
      expectWithin(ours?.[field], told, told.max * STATS_TOLERANCE, `${field} of docker stats`);
    }
    const { counted } = found.before;
    if (counted === null || counted.length === 0) {
      // The engine itself knows of no device that the container used.
      report('this kernel counts no block I/O of containers');
      expect([ours?.block_read, ours?.block_write]).toEqual([0, 0]);
    } else {
      expect(ours?.block_write).toBeGreaterThanOrEqual(WRITTEN_BYTES);
      expect(ours?.block_read).toBeGreaterThanOrEqual(READ_BYTES);
    }
    await docker.cli('rm', '-f', container);
  });

  it('start anew with a container that restarts, and leave out one that is gone', async () => {
    const container = await run('restarting', 'sleep 1000', '--network', 'none');
    const usageOf = async () => usageIn(await server.metrics(), container);
    await eventually(async () => expect((await usageOf())?.rates).toBeDefined());
    await docker.cli('restart', '-t', '0', container);
    const restarted = await eventually(async () => {
      const found = await usageOf();
      expect(found).toBeDefined();
      return found;
    });
    for (const rate of Object.values(restarted?.rates ?? {}))
      expect(rate).toBeGreaterThanOrEqual(0);
    await docker.cli('rm', '-f', container);
    await eventually(async () => expect(await usageOf()).toBeUndefined());
  });

  it('say how many containers run, and are the same under both names', async () => {
    // Other tests have containers of their own on the engine, which come and go.
    const container = await run('counted', 'sleep 1000', '--network', 'none');
    const metrics = await docker.call('metrics.get', {});
    const again = await docker.call('system.get_metrics', {});
    expect(Object.keys(again).toSorted()).toEqual(Object.keys(metrics).toSorted());
    await eventually(async () => {
      const { containers } = await server.metrics();
      expect(containers.running).toBeGreaterThan(0);
      expect(usageIn(await server.metrics(), container)).toBeDefined();
    });
  });

  it('are those that docker.containers.stats gives', async () => {
    const container = await run('both', 'sleep 1000', '--network', 'none', '--memory', '32m');
    const { memory_limit, memory_usage } = await docker.call('docker.containers.stats', {
      container,
    });
    const found = await eventually(async () => {
      const usage = usageIn(await server.metrics(), container);
      expect(usage).toBeDefined();
      return usage;
    });
    expect(memory_limit).toBe(32 * MIB);
    expect(found?.memory_limit).toBe(memory_limit);
    const range = { min: memory_usage, max: memory_usage };
    expectWithin(found?.memory_usage, range, 0.1 * memory_usage + 65_536, 'memory');
  });
});
