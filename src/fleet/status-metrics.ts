import type { Metrics } from '../../protocol/telemetry.ts';
import type { MetricsRow } from '../db/metrics-repository.ts';

/** Containers, the busiest first, that a status shows. */
const CONTAINERS_SHOWN_COUNT = 10;

/** The newest report without the containers that use least, which it counts: metrics.get has all. */
export function shortened(metrics: Metrics): Metrics {
  const { container_usage = [], omitted } = metrics;
  const left = container_usage.length - CONTAINERS_SHOWN_COUNT;
  if (left <= 0) return metrics;
  return {
    ...metrics,
    container_usage: container_usage.slice(0, CONTAINERS_SHOWN_COUNT),
    omitted: { ...omitted, container_usage: (omitted?.['container_usage'] ?? 0) + left },
  };
}

/** What is kept of the last report of an agent that is away. */
export function metricsOf(row: MetricsRow): Metrics {
  const { load, swapUsed, swapTotal, networkRx, networkTx, diskRead, diskWrite } = row;
  return {
    cpu: row.cpu,
    memory: { used: row.memoryUsed, total: row.memoryTotal, percent: row.memoryPercent },
    disk: { used: row.diskUsed, total: row.diskTotal, percent: row.diskPercent },
    containers: { running: row.containersRunning, stopped: row.containersStopped },
    // Longer averages are not kept.
    ...(load === null ? {} : { load1: load }),
    ...(swapUsed === null || swapTotal === null ? {} : { swap: usage(swapUsed, swapTotal) }),
    ...(networkRx === null || networkTx === null
      ? {}
      : { network_io: { rx: networkRx, tx: networkTx } }),
    ...(diskRead === null || diskWrite === null
      ? {}
      : { disk_io: { read: diskRead, write: diskWrite } }),
  };
}

function usage(used: number, total: number): Metrics['memory'] {
  const percent = total > 0 ? Math.min(100, Math.round((used / total) * 1_000) / 10) : 0;
  return { used, total, percent };
}
