import type { Metrics } from '../../protocol/telemetry.ts';
import { CounterRates } from './counter-rates.ts';
import { type CpuTimes, cpuLoad, readCpuTimes } from './cpu-load.ts';
import { readDisks } from './disk-counters.ts';
import { hasOwnTraffic, readNetwork } from './network-counters.ts';

type Interface = NonNullable<Metrics['network']>[number];

export interface Activity extends Pick<Metrics, 'cpu' | 'cpu_cores' | 'disk_io' | 'network_io'> {
  /** Those that carry most first. */
  readonly network: Interface[];
}

interface Sources {
  readonly cpu: typeof readCpuTimes;
  readonly disks: typeof readDisks;
  readonly network: typeof readNetwork;
}

const SYSTEM: Sources = { cpu: readCpuTimes, disks: readDisks, network: readNetwork };

/** What the server did since the measurement before: its processors, disks and interfaces. */
export class HostActivity {
  readonly #sources: Sources;
  readonly #disks = new CounterRates<'read' | 'write'>();
  readonly #interfaces = new CounterRates<'rx' | 'tx'>();
  #cpu: CpuTimes | undefined;

  constructor(sources: Sources = SYSTEM) {
    this.#sources = sources;
  }

  /** Whether there is a measurement that the next one can be compared with. */
  get hasReading(): boolean {
    return this.#cpu !== undefined;
  }

  async measure(): Promise<Activity> {
    const [cpu, disks, interfaces] = await Promise.all([
      this.#sources.cpu(),
      this.#sources.disks(),
      this.#sources.network(),
    ]);
    const atMs = performance.now();
    const { all, cores } = cpuLoad(this.#cpu ?? cpu, cpu);
    this.#cpu = cpu;
    this.#disks.keepOnly(new Set(disks.keys()));
    this.#interfaces.keepOnly(new Set(interfaces.keys()));
    const ofDisks = [...disks].map(([name, counters]) => this.#disks.take(name, counters, atMs));
    const disk_io = total(ofDisks, { read: 0, write: 0 });
    return {
      cpu: all,
      ...(cores.length === 0 ? {} : { cpu_cores: cores }),
      ...(disk_io === undefined ? {} : { disk_io }),
      ...this.#network(interfaces, atMs),
    };
  }

  #network(
    interfaces: Awaited<ReturnType<typeof readNetwork>>,
    atMs: number,
  ): Pick<Activity, 'network' | 'network_io'> {
    const measured = [...interfaces].map(([name, counters]) => ({
      name,
      counters,
      rates: this.#interfaces.take(name, counters, atMs),
    }));
    const own = measured.filter(({ name }) => hasOwnTraffic(name));
    const network_io = total(
      own.map(({ rates }) => rates),
      { rx: 0, tx: 0 },
    );
    return {
      network: measured
        .toSorted((a, b) => traffic(b.counters) - traffic(a.counters))
        .map(({ name, counters, rates }) => ({
          interface: name,
          rx_bytes: counters.rx,
          tx_bytes: counters.tx,
          ...(rates === undefined ? {} : { rx_rate: rates.rx, tx_rate: rates.tx }),
        })),
      ...(network_io === undefined ? {} : { network_io }),
    };
  }
}

function traffic({ rx, tx }: { rx: number; tx: number }): number {
  return rx + tx;
}

/** Undefined while there is nothing to compare with. */
function total<K extends string>(
  rates: ReadonlyArray<Record<K, number> | undefined>,
  zero: Record<K, number>,
): Record<K, number> | undefined {
  const known = rates.filter((rate) => rate !== undefined);
  if (known.length === 0) return undefined;
  const sum = { ...zero };
  for (const rate of known) {
    for (const name in sum) sum[name] += rate[name];
  }
  return sum;
}
