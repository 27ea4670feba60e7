import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { requirePart } from './support/docker-engine.ts';
import { isInstalled, isRoot } from './support/installed.ts';
import { around, bounds, expectWithin, MeasuredServer } from './support/measured-server.ts';
import { Started } from './support/processes.ts';
import { runProgram } from './support/run-program.ts';
import { ServerNetwork } from './support/server-network.ts';
import { canMount } from './support/small-disk.ts';

/**
 * Each figure is held against what the kernel says just before and just after: shares and rates must
 * lie between the least and the most that these allow, however busy the machine is. Beyond that:
 */
const CPU_TOLERANCE_POINTS = 2;
const MEMORY_TOLERANCE = 0.01;
const LOAD_TOLERANCE = 0.05;
const DISK_TOLERANCE = 0.001;
/** Of a figure with one decimal. */
const PERCENT_TOLERANCE_POINTS = 0.1;
const RATE_TOLERANCE_BYTES = 1;

const BUSY_MS = 4_000;
const DATAGRAMS_COUNT = 2_000;
const DATAGRAM_BYTES = 1_000;
const hasProc = requirePart('proc', existsSync('/proc/stat') || undefined, 'no /proc (Linux only)');
const canMake = requirePart(
  'mount',
  canMount && (isInstalled('mkfs.ext4') || undefined),
  'no file system of its own (needs root and mkfs.ext4)',
);
const canLink = isRoot() && isInstalled('ip') ? true : undefined;
const link = requirePart('link', canLink, 'no network link of its own (needs root and ip)');

/** Ticks of each line of /proc/stat that is about processors: "cpu" is all of them. */
async function processorTicks(): Promise<Map<string, { busy: number; total: number }>> {
  const rows = (await readFile('/proc/stat', 'utf8')).split('\n');
  const ticks = new Map<string, { busy: number; total: number }>();
  for (const row of rows.filter((line) => line.startsWith('cpu'))) {
    const [name = '', ...columns] = row.split(/\s+/);
    const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, ...rest] = columns.map(Number);
    const [irq = 0, softirq = 0, steal = 0] = rest;
    const busy = user + nice + system + irq + softirq + steal;
    ticks.set(name, { busy, total: busy + idle + iowait });
  }
  return ticks;
}

/** Bytes of the fields of /proc/meminfo. */
async function memory(): Promise<(field: string) => number> {
  const text = await readFile('/proc/meminfo', 'utf8');
  return (field) => 1_024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]);
}

async function loads(): Promise<number[]> {
  return (await readFile('/proc/loadavg', 'utf8')).split(' ').slice(0, 3).map(Number);
}

/** Bytes of every interface, and when that was. */
async function traffic() {
  const text = await readFile('/proc/1/net/dev', 'utf8').catch(() =>
    readFile('/proc/net/dev', 'utf8'),
  );
  const interfaces = new Map<string, { rx: number; tx: number }>();
  for (const row of text.split('\n').slice(2)) {
    const [name = '', rx, , , , , , , , tx] = row.trim().split(/[\s:]+/);
    interfaces.set(name, { rx: Number(rx), tx: Number(tx) });
  }
  return { atSeconds: performance.now() / 1_000, interfaces };
}
type Traffic = Awaited<ReturnType<typeof traffic>>;

interface FileSystem {
  readonly used: number;
  readonly available: number;
  readonly size: number;
}

/** Local file systems on devices by where they are, as df sees them. */
async function df(...mounts: string[]): Promise<Map<string, FileSystem>> {
  const columns = '--output=source,fstype,size,used,avail,target';
  const text = await runProgram('df', '-B1', '--local', columns, ...mounts);
  const found = new Map<string, FileSystem>();
  for (const row of text.trimEnd().split('\n').slice(1)) {
    const [source = '', type = '', size, used, available, ...target] = row.split(/\s+/);
    if (!source.startsWith('/dev/') || /^(?:squashfs|iso9660|erofs|udf|fuse)/.test(type)) continue;
    const bytes = { size: Number(size), used: Number(used), available: Number(available) };
    found.set(target.join(' '), bytes);
  }
  return found;
}

/** Keeps one processor busy. */
async function compute(): Promise<void> {
  const loop = spawn('sh', ['-c', 'while :; do :; done']);
  await delay(BUSY_MS);
  const ended = once(loop, 'exit');
  loop.kill('SIGKILL');
  await ended;
}

describe.skipIf(hasProc === undefined)('metrics of a server', () => {
  const started = new Started();
  let server: MeasuredServer;
  beforeAll(async () => {
    server = await MeasuredServer.start(started);
  });
  afterAll(() => started[Symbol.asyncDispose]());

  it('say how busy its processors were, all and each, as /proc/stat does', async () => {
    const span = await server.span(processorTicks, compute);
    const { cpu, cpu_cores = [] } = span.second.metrics;
    const share = (name: string) => {
      const ticks = bounds(
        span,
        (reading) => reading.get(name)?.busy ?? Number.NaN,
        (reading) => reading.get(name)?.total ?? Number.NaN,
      );
      return { min: 100 * ticks.min, max: 100 * ticks.max };
    };
    expectWithin(cpu, share('cpu'), CPU_TOLERANCE_POINTS, 'all');
    expect(cpu_cores).toHaveLength(span.first.before.size - 1);
    for (const [core, percent] of cpu_cores.entries()) {
      expectWithin(percent, share(`cpu${core}`), CPU_TOLERANCE_POINTS, `core ${core}`);
    }
    // At least the loop's own half.
    expect(cpu).toBeGreaterThan(50 / cpu_cores.length);
  });

  it('say what memory, swap and load there is as /proc/meminfo and /proc/loadavg do', async () => {
    const found = await server.bracketed(memory);
    const total = found.before('MemTotal');
    const used = around(found, (field) => total - field('MemAvailable'));
    expect(found.metrics.memory.total).toBe(total);
    expectWithin(found.metrics.memory.used, used, total * MEMORY_TOLERANCE, 'memory');
    expectWithin(
      found.metrics.memory.percent,
      { min: (100 * used.min) / total, max: (100 * used.max) / total },
      100 * MEMORY_TOLERANCE,
      'percent of memory',
    );
    const swap = found.before('SwapTotal');
    const swapped = around(found, (field) => swap - field('SwapFree'));
    expect(found.metrics.swap?.total).toBe(swap);
    expectWithin(found.metrics.swap?.used, swapped, swap * MEMORY_TOLERANCE, 'swap');

    const load = await server.bracketed(loads);
    for (const [index, minutes] of [1, 5, 15].entries()) {
      const range = around(load, (averages) => averages[index] ?? Number.NaN);
      const what = `load of ${minutes} minutes`;
      expectWithin(load.metrics.load?.[index], range, LOAD_TOLERANCE, what);
    }
  });

  /** What is reported of every file system that df shows. */
  async function expectAsDf(): Promise<string[]> {
    const { metrics, before, after } = await server.bracketed(() => df());
    const { disks = [] } = metrics;
    for (const [mount, { size }] of before) {
      const disk = disks.find((candidate) => candidate.mount === mount);
      const range = (value: (of: FileSystem) => number) => {
        const ends = [before.get(mount), after.get(mount)].map((of) => of && value(of));
        const numbers = ends.filter((end) => end !== undefined);
        return { min: Math.min(...numbers), max: Math.max(...numbers) };
      };
      expect(disk?.total, mount).toBe(size);
      expectWithin(
        disk?.used,
        range(({ used }) => used),
        size * DISK_TOLERANCE,
        mount,
      );
      const percent = range(({ used, available }) => (100 * used) / (used + available));
      const tolerance = 100 * DISK_TOLERANCE + PERCENT_TOLERANCE_POINTS;
      expectWithin(disk?.percent, percent, tolerance, `percent of ${mount}`);
    }
    return disks.map(({ mount }) => mount);
  }

  it('say how full its disks are as df does', async () => {
    const mounts = await expectAsDf();
    const root = await df('/');
    if (root.size > 0) expect(mounts).toContain('/');
    expect(mounts.length).toBeGreaterThan(0);
  });

  it.skipIf(canMake === undefined)('tell of a disk that is mounted, at its own place', async () => {
    const image = join(started.directory(), 'disk');
    const place = started.directory();
    await writeFile(image, '');
    await truncate(image, 64 * 1024 * 1024);
    await runProgram('mkfs.ext4', '-q', image);
    await runProgram('mount', '-o', 'loop', image, place);
    onTestFinished(async () => void (await runProgram('umount', '--lazy', place)));
    await writeFile(join(place, 'content'), Buffer.alloc(20 * 1024 * 1024));
    await runProgram('sync', '-f', place);
    expect(await expectAsDf()).toContain(place);
  });

  it.skipIf(link === undefined)(
    'count what goes over its interfaces as /proc/net/dev does',
    async () => {
      const network = new ServerNetwork('metrics');
      await network.remove();
      const there = (await traffic()).interfaces;
      await network.create();
      onTestFinished(() => network.remove());
      const [own] = [...(await traffic()).interfaces.keys()].filter((name) => !there.has(name));
      const span = await server.span(traffic, () => sendDatagrams(network.address));
      const { network: interfaces = [], network_io } = span.second.metrics;
      const counted = (name: string, way: 'rx' | 'tx') => (reading: Traffic) =>
        reading.interfaces.get(name)?.[way] ?? Number.NaN;
      for (const reported of interfaces) {
        const { interface: name } = reported;
        for (const way of ['rx', 'tx'] as const) {
          const bytes = around(span.second, counted(name, way));
          expectWithin(reported[`${way}_bytes`], bytes, 0, `${name} ${way}`);
          const rate = bounds(span, counted(name, way), ({ atSeconds }) => atSeconds);
          expectWithin(reported[`${way}_rate`], rate, RATE_TOLERANCE_BYTES, `${name} ${way} rate`);
        }
      }
      const sent = interfaces.find((reported) => reported.interface === own);
      expect(sent?.tx_bytes).toBeGreaterThanOrEqual(DATAGRAMS_COUNT * DATAGRAM_BYTES);
      expect(network_io?.tx).toBeGreaterThanOrEqual(sent?.tx_rate ?? Number.NaN);
    },
  );
});

/** To a port where nobody listens: they are counted all the same. */
async function sendDatagrams(address: string): Promise<void> {
  const socket = createSocket('udp4');
  const data = Buffer.alloc(DATAGRAM_BYTES);
  for (let sent = 0; sent < DATAGRAMS_COUNT; sent += 1) {
    await new Promise((resolve) => {
      socket.send(data, 9, address, resolve);
    });
  }
  socket.close();
  await once(socket, 'close');
}
