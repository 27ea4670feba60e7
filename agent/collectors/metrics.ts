import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import os from 'node:os';
import type { Metrics } from '../../protocol/telemetry.ts';
import type { EngineProbe } from '../engine-probe.ts';
import { withTimeLimit } from '../time-limit.ts';
import { CpuLoad } from './cpu-load.ts';

const ENGINE_LIMIT_MS = 3_000;
const NO_CONTAINERS = { running: 0, stopped: 0 };

/** Measures this server; shared by the collector and the commands. */
export class MetricsSampler {
  readonly #cpu = new CpuLoad();
  readonly #engine: EngineProbe;
  readonly #engineLimitMs: number;

  constructor(engine: EngineProbe, engineLimitMs: number = ENGINE_LIMIT_MS) {
    this.#engine = engine;
    this.#engineLimitMs = engineLimitMs;
  }

  /** Containers count as 0 where no engine answers. */
  async measure(signal: AbortSignal): Promise<Metrics> {
    const [cpu, disk, containers] = await Promise.all([
      this.#cpu.measure(signal),
      diskUsage(existsSync('/host') ? '/host' : '/'),
      this.#containers(signal),
    ]);
    return { cpu, memory: memoryUsage(), disk, containers };
  }

  async #containers(signal: AbortSignal): Promise<Metrics['containers']> {
    return await withTimeLimit(this.#engineLimitMs, signal, (limited) =>
      this.#engine.counts(limited),
    ).catch(() => NO_CONTAINERS);
  }
}

function memoryUsage(): Metrics['memory'] {
  // On Linux freemem is MemAvailable of /proc/meminfo.
  const total = os.totalmem();
  const used = total - os.freemem();
  return { used, total, percent: percent(used, total) };
}

/** As psutil and df: the share is of what users may have, without the blocks reserved for root. */
async function diskUsage(path: string): Promise<Metrics['disk']> {
  const { bsize, blocks, bfree, bavail } = await statfs(path);
  const used = blocks - bfree;
  return { used: used * bsize, total: blocks * bsize, percent: percent(used, used + bavail) };
}

function percent(part: number, whole: number): number {
  return whole > 0 ? Math.round((part / whole) * 1_000) / 10 : 0;
}
