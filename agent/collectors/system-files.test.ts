import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { readCpuTimes } from './cpu-load.ts';
import { parseDisks, readDisks } from './disk-counters.ts';
import { swapUsage, usageOf } from './memory-usage.ts';
import { hasOwnTraffic, parseNetwork, readNetwork } from './network-counters.ts';
import { readTemperatures } from './temperatures.ts';

const ABSENT = '/absent/file';

const NET = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 9999 1 0 0 0 0 0 0 9999 1 0 0 0 0 0 0
  eth0: 1500 12 0 0 0 0 0 0 700 9 0 0 0 0 0 0
veth12ab:   5 1 0 0 0 0 0 0 6 1 0 0 0 0 0 0
eth1:7 1 0 0 0 0 0 0 8 1 0 0 0 0 0 0
broken: 1 2
`;

const DISKS = `   7       0 loop0 10 0 99 0 0 0 0 0 0 0 0
   8       0 sda 4063 78 200 5120 8888 44 400 9999 0 1 1
   8       1 sda1 4063 78 200 5120 8888 44 400 9999 0 1 1
 259       0 nvme0n1 1 0 10 0 1 0 20 0 0 0 0
 259       1 nvme0n1p1 1 0 10 0 1 0 20 0 0 0 0
 202       1 xvda1 1 0 1 0 1 0 1 0 0 0 0
 253       0 dm-0 1 0 10 0 1 0 20 0 0 0 0
`;

describe('what the kernel says', () => {
  it('of interfaces: bytes both ways, without loopback and containers’ cables', () => {
    expect([...parseNetwork(NET)]).toEqual([
      ['eth0', { rx: 1_500, tx: 700 }],
      ['eth1', { rx: 7, tx: 8 }],
    ]);
  });

  it('of disks: bytes of whole ones, each once', () => {
    expect([...parseDisks(DISKS)]).toEqual([
      ['sda', { read: 200 * 512, write: 400 * 512 }],
      ['nvme0n1', { read: 5_120, write: 10_240 }],
      ['xvda1', { read: 512, write: 512 }],
    ]);
  });

  it('is read from this very system', async () => {
    for (const { rx, tx } of (await readNetwork()).values()) expect(rx + tx).toBeGreaterThan(-1);
    for (const { read } of (await readDisks()).values()) expect(read).toBeGreaterThan(-1);
    const { all, cores } = await readCpuTimes();
    expect(cores).toHaveLength(os.cpus().length);
    expect(all.busy).toBeLessThan(all.total);
  });

  it('is done without where it is not said', async () => {
    expect(await readNetwork([ABSENT])).toEqual(new Map());
    expect(await readDisks(ABSENT)).toEqual(new Map());
    expect(await swapUsage(ABSENT)).toBeUndefined();
    expect(await readTemperatures(ABSENT)).toEqual([]);
    const { all, cores } = await readCpuTimes(ABSENT);
    expect(cores).toHaveLength(os.cpus().length);
    expect(all.total).toBeGreaterThan(all.busy);
  });
});

it.each([
  ['eth0', true],
  ['enp3s0', true],
  ['wlan0', true],
  ['docker0', false],
  ['br-1a2b', false],
  ['eth0.100', false],
  ['bond0', false],
  ['wg0', false],
])('counts the traffic of %s in the sum: %s', (name, counts) => {
  expect(hasOwnTraffic(name)).toBe(counts);
});

it('counts a share of nothing as 0', () => {
  expect(usageOf(0, 0)).toEqual({ used: 0, total: 0, percent: 0 });
});

describe('readTemperatures', () => {
  const made: string[] = [];
  afterEach(() => {
    for (const directory of made.splice(0)) rmSync(directory, { recursive: true });
  });

  function tree(files: Record<string, string>): string {
    const root = mkdtempSync(path.join(os.tmpdir(), 'tomo-sensors-'));
    made.push(root);
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
      writeFileSync(path.join(root, file), text);
    }
    return root;
  }

  it('names each sensor by its chip and label', async () => {
    const root = tree({
      'hwmon/hwmon0/name': 'coretemp\n',
      'hwmon/hwmon0/temp1_input': '45500\n',
      'hwmon/hwmon0/temp1_label': 'Package id 0\n',
      'hwmon/hwmon0/temp2_input': '41000\n',
      'hwmon/hwmon1/temp1_input': '-128000\n',
      'hwmon/hwmon1/temp2_input': 'n/a\n',
      'hwmon/hwmon1/temp3_input': '',
      'thermal/thermal_zone0/type': 'unused',
      'thermal/thermal_zone0/temp': '1000',
    });
    expect(await readTemperatures(root)).toEqual([
      { sensor: 'coretemp Package id 0', celsius: 45.5 },
      { sensor: 'coretemp temp2', celsius: 41 },
    ]);
  });

  it('takes the thermal zones where there are no such sensors', async () => {
    const root = tree({
      'thermal/thermal_zone0/type': 'cpu-thermal\n',
      'thermal/thermal_zone0/temp': '51234\n',
      'thermal/cooling_device0/type': 'fan\n',
      'hwmon/hwmon0/temp1_input': '',
    });
    expect(await readTemperatures(root)).toEqual([{ sensor: 'cpu-thermal', celsius: 51.2 }]);
  });
});
