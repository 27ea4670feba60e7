import { REPORT_MAX_BYTES } from '../../protocol/limits.ts';
import type { Metrics } from '../../protocol/telemetry.ts';

/** What the message around a report takes. */
const ENVELOPE_BYTES = 512;

const LISTS = ['container_usage', 'disks', 'network', 'temperatures'] as const;

/**
 * A report that the hub takes: of the list that takes most, the last entries are left out and counted
 * in `omitted`, so each list has what matters most first.
 */
export function fitReport(
  metrics: Metrics,
  maxBytes: number = REPORT_MAX_BYTES - ENVELOPE_BYTES,
): Metrics {
  let fitting = metrics;
  while (sizeOf(fitting) > maxBytes) {
    const [list, items] = largest(fitting);
    if (items.length === 0) break;
    // An eighth at a time: a report is written as text only a few times over.
    const kept = items.slice(0, items.length - Math.ceil(items.length / 8));
    fitting = {
      ...fitting,
      [list]: kept,
      omitted: {
        ...fitting.omitted,
        [list]: (fitting.omitted?.[list] ?? 0) + items.length - kept.length,
      },
    };
  }
  return fitting;
}

function largest(metrics: Metrics): [list: string, items: readonly object[]] {
  const lists = LISTS.map((list) => ({ list, items: metrics[list] ?? [] }));
  const [first] = lists
    .map((entry) => ({ ...entry, bytes: sizeOf(entry.items) }))
    .toSorted((a, b) => b.bytes - a.bytes);
  return first === undefined ? ['', []] : [first.list, first.items];
}

function sizeOf(value: object): number {
  return Buffer.byteLength(JSON.stringify(value));
}
