import { expect, it } from 'vitest';
import { parseCpuTimes } from './cpu-load.ts';
import { HostActivity } from './host-activity.ts';

const cpu = (busy: number, idle: number) => ({
  all: { busy, total: busy + idle },
  cores: [{ busy, total: busy + idle }],
});

/** Answers with one reading after the other. */
function activityOf(...readings: { cpu?: ReturnType<typeof cpu>; net?: object; disks?: object }[]) {
  let at = -1;
  const reading = () => readings[Math.min(at, readings.length - 1)] ?? {};
  return new HostActivity({
    cpu: async () => {
      at += 1;
      return reading().cpu ?? cpu(0, 0);
    },
    network: async () => new Map(Object.entries(reading().net ?? {})),
    disks: async () => new Map(Object.entries(reading().disks ?? {})),
  });
}

it('compares each reading with the one before', async () => {
  const activity = activityOf({ cpu: cpu(10, 90) }, { cpu: cpu(40, 160) });
  expect(activity.hasReading).toBe(false);
  expect(await activity.measure()).toMatchObject({ cpu: 0, cpu_cores: [0], network: [] });
  expect(activity.hasReading).toBe(true);
  expect(await activity.measure()).toMatchObject({ cpu: 30, cpu_cores: [30] });
});

it('counts no processor time, and no cores, when a processor was taken away', async () => {
  const one = { busy: 50, total: 100 };
  const before = { all: { busy: 100, total: 200 }, cores: [one, one] };
  const activity = activityOf({ cpu: before }, { cpu: { all: one, cores: [one] } });
  await activity.measure();
  const { cpu: load, cpu_cores } = await activity.measure();
  expect([load, cpu_cores]).toEqual([0, undefined]);
});

it('sums the interfaces that carry traffic of their own, the busiest first', async () => {
  const net = {
    eth0: { rx: 1, tx: 1 },
    docker0: { rx: 50, tx: 50 },
    'eth0.7': { rx: 0, tx: 0 },
    wlan0: { rx: 100, tx: 100 },
  };
  const gained = Object.entries(net).map(([name, { rx, tx }]) => [
    name,
    { rx: rx + 1e12, tx: tx + 1e12 },
  ]);
  const activity = activityOf({ net }, { net: Object.fromEntries(gained) });
  expect((await activity.measure()).network_io).toBeUndefined();
  const { network, network_io } = await activity.measure();
  expect(network.map((entry) => entry.interface)).toEqual(['wlan0', 'docker0', 'eth0', 'eth0.7']);
  const rates = new Map(network.map((entry) => [entry.interface, entry.rx_rate ?? 0]));
  expect(network_io?.rx).toBe((rates.get('eth0') ?? 0) + (rates.get('wlan0') ?? 0));
});

it('leaves out the rates of what went backwards or vanished', async () => {
  const activity = activityOf(
    {
      net: { eth0: { rx: 5, tx: 5 }, eth1: { rx: 5, tx: 5 } },
      disks: { sda: { read: 9, write: 9 } },
    },
    { net: { eth0: { rx: 1, tx: 1 } }, disks: { sda: { read: 1, write: 1 } } },
  );
  await activity.measure();
  expect(await activity.measure()).toMatchObject({
    network: [{ interface: 'eth0', rx_bytes: 1, tx_bytes: 1 }],
  });
  const { network, disk_io, network_io } = await activity.measure();
  expect(network[0]?.rx_rate).toBe(0);
  expect([disk_io, network_io]).toEqual([
    { read: 0, write: 0 },
    { rx: 0, tx: 0 },
  ]);
});

it('reads processors as the kernel counts them: waiting is idle, stolen time is busy', () => {
  const text =
    'cpu  10 1 5 100 20 2 3 4 10 0\ncpu0 10 1 5 100 20 2 3 4 10 0\nintr 5\nctxt 9\ncpu 1\n';
  expect(parseCpuTimes(text)?.cores).toEqual([{ busy: 25, total: 145 }]);
  expect(parseCpuTimes('')).toBeUndefined();
});
