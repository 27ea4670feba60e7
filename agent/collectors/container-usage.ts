import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { readReply } from '../../docker-engine/docker-reply.ts';
import { TomoError } from '../../protocol/errors.ts';
import { METRICS_CONTAINERS_MAX_COUNT } from '../../protocol/limits.ts';
import type { ContainerUsage } from '../../protocol/telemetry.ts';
import { type CpuCounters, containerFigures, statsSchema } from '../docker/container-figures.ts';
import { withTimeLimit } from '../time-limit.ts';
import { CounterRates } from './counter-rates.ts';

/** Calls to the engine at one time, which also has others to serve. */
const CALLS_MAX_COUNT = 8;

/** The part of DockerEngine that is needed. */
export type UsageEngine = Pick<DockerEngine, 'request'>;

export interface MeasuredContainers {
  /** Those that use most first. */
  readonly usage: readonly ContainerUsage[];
  /** Containers that run and are not among them: there are too many, or no answer came in time. */
  readonly omitted: number;
}

type IoCounter = 'network_rx' | 'network_tx' | 'block_read' | 'block_write';

/** What the containers that run use: since the measurement before, of which it keeps the counters. */
export class ContainerUsageMeter {
  readonly #engine: UsageEngine;
  readonly #limitMs: number;
  readonly #rates = new CounterRates<IoCounter>();
  #cpu = new Map<string, CpuCounters>();

  /** @param limitMs of a whole measurement, however many containers there are. */
  constructor(engine: UsageEngine, limitMs: number) {
    this.#engine = engine;
    this.#limitMs = limitMs;
  }

  /** Rejects only if the engine does not even list its containers. */
  async measure(signal: AbortSignal): Promise<MeasuredContainers> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(this.#limitMs)]);
    const running = await withTimeLimit(this.#limitMs, limited, (soon) => this.#running(soon));
    const chosen = running.slice(0, METRICS_CONTAINERS_MAX_COUNT);
    this.#keepOnly(new Set(chosen.map(({ id }) => id)));
    const usage: ContainerUsage[] = [];
    let gone = 0;
    const waiting = [...chosen];
    const ask = async (): Promise<void> => {
      for (let next = waiting.shift(); next && !limited.aborted; next = waiting.shift()) {
        const measured = await this.#measureOne(next, limited);
        if (measured === 'gone') gone += 1;
        else if (measured !== undefined) usage.push(measured);
      }
    };
    await Promise.all(Array.from({ length: CALLS_MAX_COUNT }, ask));
    return {
      usage: usage.toSorted(byUse),
      omitted: running.length - usage.length - gone,
    };
  }

  async #running(signal: AbortSignal): Promise<Listed[]> {
    const reply = await this.#engine.request({ path: '/containers/json', signal });
    return readReply(listSchema, reply).map(({ Id, Names }) => ({
      id: Id,
      name: (Names[0] ?? Id.slice(0, 12)).replace(/^\//, '').slice(0, 255),
    }));
  }

  /** 'gone' if it ended meanwhile; undefined if the engine does not say in time. */
  async #measureOne(
    { id, name }: Listed,
    limited: AbortSignal,
  ): Promise<ContainerUsage | 'gone' | undefined> {
    try {
      const reply = await withTimeLimit(this.#limitMs, limited, (signal) =>
        this.#engine.request({
          path: `/containers/${id}/stats`,
          // At once, without the engine's own second reading a second later.
          query: { stream: false, 'one-shot': true },
          subject: { kind: 'container', name },
          signal,
        }),
      );
      const atMs = performance.now();
      const stats = readReply(statsSchema, reply);
      // Of one that ended between list and call the engine answers with nothing in it.
      if (stats.cpu_stats.system_cpu_usage === 0) return 'gone';
      const before = this.#cpu.get(id);
      this.#cpu.set(id, stats.cpu_stats);
      const { cpu_percent, ...figures } = containerFigures(stats, before ?? stats.cpu_stats);
      const { network_rx, network_tx, block_read, block_write } = figures;
      const rates = this.#rates.take(id, { network_rx, network_tx, block_read, block_write }, atMs);
      return {
        id: id.slice(0, 12),
        name,
        ...(before === undefined ? {} : { cpu_percent: Math.round(cpu_percent * 10) / 10 }),
        ...figures,
        ...(rates === undefined ? {} : { rates }),
      };
    } catch (error) {
      return error instanceof TomoError && error.name === 'NOT_FOUND' ? 'gone' : undefined;
    }
  }

  #keepOnly(ids: ReadonlySet<string>): void {
    this.#rates.keepOnly(ids);
    for (const id of this.#cpu.keys()) if (!ids.has(id)) this.#cpu.delete(id);
  }
}

interface Listed {
  readonly id: string;
  readonly name: string;
}

const listSchema = z.array(z.object({ Id: z.string().min(1), Names: z.array(z.string()) }));

function byUse(a: ContainerUsage, b: ContainerUsage): number {
  return (b.cpu_percent ?? 0) - (a.cpu_percent ?? 0) || b.memory_usage - a.memory_usage;
}
