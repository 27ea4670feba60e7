import { existsSync } from 'node:fs';
import os from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { METRICS_INTERFACES_MAX_COUNT } from '../../protocol/limits.ts';
import type { Metrics } from '../../protocol/telemetry.ts';
import type { EngineProbe } from '../engine-probe.ts';
import { withTimeLimit } from '../time-limit.ts';
import {
  ContainerUsageMeter,
  type MeasuredContainers,
  type UsageEngine,
} from './container-usage.ts';
import { diskUsage, FileSystems } from './file-systems.ts';
import { HostActivity } from './host-activity.ts';
import { memoryUsage, swapUsage } from './memory-usage.ts';
import { fitReport } from './report-size.ts';
import { SharedMeasurement } from './shared-measurement.ts';
import { readTemperatures } from './temperatures.ts';

const ENGINE_LIMIT_MS = 3_000;
const SENSORS_LIMIT_MS = 1_000;
/** The kernel counts in hundredths of a second: a shorter span says little. */
const SPAN_MIN_MS = 250;
const NO_CONTAINERS = { running: 0, stopped: 0 };

export interface SamplerOptions {
  /** Whose containers are measured; left out, they are only counted. */
  readonly containers?: UsageEngine;
  readonly engineLimitMs?: number;
  /** Where the server's root is, as this process sees it. */
  readonly root?: string;
}

/**
 * Measures this server; shared by the collector and the commands, so that all get the same: who asks
 * soon after another gets that one's answer.
 */
export class MetricsSampler {
  readonly #engine: EngineProbe;
  readonly #engineLimitMs: number;
  readonly #root: string;
  readonly #activity = new HostActivity();
  readonly #fileSystems: FileSystems;
  readonly #containers: ContainerUsageMeter | undefined;
  readonly #shared = new SharedMeasurement((signal) => this.#measure(signal));
  #latest: { readonly atMs: number; readonly metrics: Metrics } | undefined;

  constructor(engine: EngineProbe, options: SamplerOptions = {}) {
    this.#engine = engine;
    this.#engineLimitMs = options.engineLimitMs ?? ENGINE_LIMIT_MS;
    this.#root = options.root ?? (existsSync('/host') ? '/host' : '/');
    this.#fileSystems = new FileSystems({ root: this.#root });
    const { containers } = options;
    this.#containers = containers && new ContainerUsageMeter(containers, this.#engineLimitMs);
  }

  /** Containers count as 0 where no engine answers. */
  async measure(signal: AbortSignal): Promise<Metrics> {
    signal.throwIfAborted();
    const { atMs, metrics } = this.#latest ?? { atMs: Number.NEGATIVE_INFINITY };
    if (metrics !== undefined && performance.now() - atMs < SPAN_MIN_MS) return metrics;
    return await this.#shared.take(signal);
  }

  async #measure(signal: AbortSignal): Promise<Metrics> {
    const [host, containers, usage] = await Promise.all([
      this.#host(signal),
      this.#counts(signal),
      this.#containers?.measure(signal).catch(() => undefined),
    ]);
    const metrics = fitReport({
      ...host.metrics,
      containers,
      ...usageFields(usage),
      ...omitted(host.omitted, usage),
    });
    this.#latest = { atMs: performance.now(), metrics };
    return metrics;
  }

  async #host(signal: AbortSignal) {
    if (!this.#activity.hasReading) {
      await this.#activity.measure();
      await delay(SPAN_MIN_MS, undefined, { signal });
    }
    const [activity, disk, { disks, omitted: noDisks }, swap, temperatures] = await Promise.all([
      this.#activity.measure(),
      diskUsage(this.#root),
      this.#fileSystems.measure(signal),
      swapUsage(),
      withTimeLimit(SENSORS_LIMIT_MS, signal, () => readTemperatures()).catch(() => []),
    ]);
    const { network, ...rest } = activity;
    const interfaces = network.slice(0, METRICS_INTERFACES_MAX_COUNT);
    return {
      metrics: {
        ...rest,
        load: loadAverages(),
        memory: memoryUsage(),
        ...(swap === undefined ? {} : { swap }),
        disk,
        ...(disks.length === 0 ? {} : { disks }),
        ...(interfaces.length === 0 ? {} : { network: interfaces }),
        ...(temperatures.length === 0 ? {} : { temperatures }),
      },
      omitted: { disks: noDisks, network: network.length - interfaces.length },
    };
  }

  async #counts(signal: AbortSignal): Promise<Metrics['containers']> {
    return await withTimeLimit(this.#engineLimitMs, signal, (limited) =>
      this.#engine.counts(limited),
    ).catch(() => NO_CONTAINERS);
  }
}

function loadAverages(): [number, number, number] {
  const [one = 0, five = 0, fifteen = 0] = os.loadavg();
  return [rounded(one), rounded(five), rounded(fifteen)];
}

function rounded(load: number): number {
  return Math.round(load * 100) / 100;
}

function usageFields(measured: MeasuredContainers | undefined): Pick<Metrics, 'container_usage'> {
  return measured === undefined ? {} : { container_usage: [...measured.usage] };
}

function omitted(
  ofHost: Record<'disks' | 'network', number>,
  measured: MeasuredContainers | undefined,
): Pick<Metrics, 'omitted'> {
  const counts = { ...ofHost, container_usage: measured?.omitted ?? 0 };
  const some = Object.entries(counts).filter(([, count]) => count > 0);
  return some.length === 0 ? {} : { omitted: Object.fromEntries(some) };
}
