import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { count, readReply } from '../../docker-engine/docker-reply.ts';
import type { Handler } from './handler.ts';

/** One sample over about a second, counted as `docker stats` does; all zero for a stopped container. */
export function readContainerStats(docker: DockerEngine): Handler<'docker.containers.stats'> {
  return async ({ container }, { signal }) => {
    const reply = await docker.request({
      path: `/containers/${container}/stats`,
      query: { stream: false },
      subject: { kind: 'container', name: container },
      signal,
    });
    return summarizeStats(readReply(statsSchema, reply));
  };
}

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
