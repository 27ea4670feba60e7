import { z } from 'zod';
import { count } from '../../docker-engine/docker-reply.ts';

const cpuSchema = z.object({
  cpu_usage: z.object({ total_usage: count, percpu_usage: z.array(z.number()).nullish() }),
  system_cpu_usage: count,
  online_cpus: count,
});
export type CpuCounters = z.output<typeof cpuSchema>;

/** Answer of `GET /containers/{id}/stats`, as far as it is used. */
export const statsSchema = z.object({
  cpu_stats: cpuSchema,
  precpu_stats: cpuSchema,
  memory_stats: z.object({
    usage: count,
    limit: count,
    stats: z.record(z.string(), z.number()).nullish(),
  }),
  networks: z.record(z.string(), z.object({ rx_bytes: count, tx_bytes: count })).nullish(),
  blkio_stats: z
    .object({
      io_service_bytes_recursive: z.array(z.object({ op: z.string(), value: count })).nullish(),
    })
    .nullish(),
});
type Stats = z.output<typeof statsSchema>;

/** A container's figures as `docker stats` shows them; sizes in bytes, since it started. */
export function containerFigures(stats: Stats, cpuBefore: CpuCounters) {
  const networks = Object.values(stats.networks ?? {});
  return {
    cpu_percent: cpuPercent(stats.cpu_stats, cpuBefore),
    memory_usage: memoryUsage(stats.memory_stats),
    memory_limit: stats.memory_stats.limit,
    network_rx: networks.reduce((sum, network) => sum + network.rx_bytes, 0),
    network_tx: networks.reduce((sum, network) => sum + network.tx_bytes, 0),
    block_read: blockBytes(stats, 'read'),
    block_write: blockBytes(stats, 'write'),
  };
}

/** Counters go backwards when a container restarts between the two readings: 0 then. */
function cpuPercent(now: CpuCounters, before: CpuCounters): number {
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

/** "Read" under cgroup v1, "read" under v2. */
function blockBytes({ blkio_stats }: Stats, op: 'read' | 'write'): number {
  return (blkio_stats?.io_service_bytes_recursive ?? [])
    .filter((entry) => entry.op.toLowerCase() === op)
    .reduce((sum, entry) => sum + entry.value, 0);
}
