import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { toDockerError } from '../../docker-engine/docker-errors.ts';
import { count, readReply } from '../../docker-engine/docker-reply.ts';
import { LineWriter } from '../docker/line-writer.ts';
import { streamStats } from '../docker/stats-stream.ts';
import { timeLimited } from '../docker/time-limited.ts';
import type { CommandContext, Handler } from './handler.ts';

/**
 * One sample over about a second, counted as `docker stats` does, all zero for a stopped container; or
 * one after the other.
 */
export function readContainerStats(docker: DockerEngine): Handler<'docker.containers.stats'> {
  return async ({ container, stream, timeout }, context) => {
    const subject = { kind: 'container', name: container } as const;
    const { signal } = context;
    if (stream) {
      const path = `/containers/${container}/json`;
      const { Id } = readReply(idSchema, await docker.request({ path, subject, signal }));
      return await timeLimited(context, timeout, (limited) => followStats(docker, Id, limited));
    }
    const path = `/containers/${container}/stats`;
    const reply = await docker.request({ path, query: { stream: false }, subject, signal });
    return summarizeStats(readReply(statsSchema, reply));
  };
}

const idSchema = z.object({ Id: z.string() });

/** Writes a line of JSON per sample. */
function followStats(docker: DockerEngine, id: string, context: CommandContext) {
  let last = summarizeStats(statsSchema.parse(NO_STATS));
  const writer = new LineWriter(context);
  const take = async (reply: unknown) => {
    const stats = readReply(statsSchema, reply);
    // The first of a stream has nothing to count processor time against.
    if (stats.precpu_stats.system_cpu_usage === 0) return;
    last = summarizeStats(stats);
    const line = JSON.stringify({ time: new Date().toISOString(), ...last });
    await writer.write([{ source: 'stdout', text: Buffer.from(`${line}\n`) }]);
  };
  return {
    run: async () => {
      await streamStats(docker, id, context, take);
      return 'container_removed' as const;
    },
    figures: () => ({ ...last, samples: writer.written.lines }),
    toError: (error: unknown) =>
      toDockerError(error, { kind: 'container', name: id }, context.signal),
  };
}

const NO_CPU = { cpu_usage: {} };
const NO_STATS = { cpu_stats: NO_CPU, precpu_stats: NO_CPU, memory_stats: {} };

const cpuSchema = z.object({
  cpu_usage: z.object({ total_usage: count, percpu_usage: z.array(z.number()).nullish() }),
  system_cpu_usage: count,
  online_cpus: count,
});

export const statsSchema = z.object({
  cpu_stats: cpuSchema,
  precpu_stats: cpuSchema,
  memory_stats: z.object({
    usage: count,
    limit: count,
    stats: z.record(z.string(), z.number()).nullish(),
  }),
  networks: z.record(z.string(), z.object({ rx_bytes: count, tx_bytes: count })).nullish(),
});

type Stats = z.output<typeof statsSchema>;

export function summarizeStats(stats: Stats) {
  const networks = Object.values(stats.networks ?? {});
  return {
    cpu_percent: cpuPercent(stats),
    memory_usage: memoryUsage(stats.memory_stats),
    memory_limit: stats.memory_stats.limit,
    network_rx: networks.reduce((sum, network) => sum + network.rx_bytes, 0),
    network_tx: networks.reduce((sum, network) => sum + network.tx_bytes, 0),
  };
}

/** Counters go backwards when a container restarts between the two readings: 0 then. */
function cpuPercent({ cpu_stats: now, precpu_stats: before }: Stats): number {
  const used = now.cpu_usage.total_usage - before.cpu_usage.total_usage;
  const passed = now.system_cpu_usage - before.system_cpu_usage;
  if (before.system_cpu_usage === 0 || used <= 0 || passed <= 0) return 0;
  const cpus = now.online_cpus || (now.cpu_usage.percpu_usage?.length ?? 0);
  return (used / passed) * cpus * 100;
}

/** Less the page cache that the kernel gives back at need: cgroup v1 has the total, v2 one value. */
function memoryUsage({ usage, stats }: Stats['memory_stats']): number {
  const cache = stats?.['total_inactive_file'] ?? stats?.['inactive_file'] ?? 0;
  return cache < usage ? usage - cache : usage;
}
