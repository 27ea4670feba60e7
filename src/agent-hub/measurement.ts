import type { Metrics } from '../../protocol/telemetry.ts';
import type { ContainerMeasurement, Measurement } from '../db/metrics-repository.ts';

/** What is kept of a report over time. */
export function measurementOf(agentId: string, metrics: Metrics, at: number): Measurement {
  const { memory, swap, disk, containers, network_io, disk_io } = metrics;
  return {
    agentId,
    at,
    cpu: metrics.cpu,
    memoryUsed: memory.used,
    memoryTotal: memory.total,
    memoryPercent: memory.percent,
    diskUsed: disk.used,
    diskTotal: disk.total,
    diskPercent: disk.percent,
    containersRunning: containers.running,
    containersStopped: containers.stopped,
    load: metrics.load?.[0] ?? null,
    swapUsed: swap?.used ?? null,
    swapTotal: swap?.total ?? null,
    networkRx: network_io?.rx ?? null,
    networkTx: network_io?.tx ?? null,
    diskRead: disk_io?.read ?? null,
    diskWrite: disk_io?.write ?? null,
    temperature: hottest(metrics),
  };
}

function hottest({ temperatures = [] }: Metrics): number | null {
  if (temperatures.length === 0) return null;
  return Math.max(...temperatures.map(({ celsius }) => celsius));
}

/** The same of its containers. */
export function containerMeasurementsOf(
  agentId: string,
  { container_usage = [] }: Metrics,
  at: number,
): ContainerMeasurement[] {
  return container_usage.map(({ name, cpu_percent, memory_usage, memory_limit, rates }) => ({
    agentId,
    container: name,
    at,
    cpu: cpu_percent ?? null,
    memoryUsed: memory_usage,
    memoryLimit: memory_limit,
    networkRx: rates?.network_rx ?? null,
    networkTx: rates?.network_tx ?? null,
    diskRead: rates?.block_read ?? null,
    diskWrite: rates?.block_write ?? null,
  }));
}
