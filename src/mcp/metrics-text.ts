import type { OperationResult } from '../fleet/operations.ts';

type Metrics = OperationResult<'get_agent_metrics'>;

/** The same as the structured result in fewer characters: what it is, the whole time, a line per step. */
export function metricsText(metrics: Metrics): string {
  const { server_id, container, aggregate, step_seconds, times, series, note } = metrics;
  const subject = container === undefined ? server_id : `container ${container} on ${server_id}`;
  const head = `${subject}, ${aggregate} of every ${step_seconds} s from ${metrics.since} to ${metrics.until}`;
  if (times.length === 0) return [head, note ?? ''].join('\n').trimEnd();
  const summaries = series.map(
    ({ metric, unit, ...whole }) =>
      `${metric} (${unit}): min ${shown(whole.min)}, avg ${shown(whole.avg)}, max ${shown(whole.max)}, last ${shown(whole.last)}`,
  );
  const rows = times.map((time, index) =>
    [time.replace('.000Z', 'Z'), ...series.map(({ values }) => shown(values[index]))].join('\t'),
  );
  const columns = ['time', ...series.map(({ metric }) => metric)].join('\t');
  return [head, ...summaries, '', columns, ...rows].join('\n');
}

function shown(value: number | null | undefined): string {
  return value === null || value === undefined ? '-' : String(value);
}
