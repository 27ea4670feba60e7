import { TomoError } from '../../protocol/errors.ts';
import { effectiveConfig } from '../agent-hub/agent-config.ts';
import type { AgentRow } from '../db/agent-row.ts';
import {
  CONTAINER_METRICS,
  type HistoryPoint,
  type HistoryQuery,
  type HistorySummary,
  HOST_METRICS,
  type Metric,
} from '../db/metrics-history.ts';
import { MEAN_MAX_AGE_MS, MEAN_SECONDS, RAW_MAX_AGE_MS } from '../db/metrics-roll-up.ts';
import { agentOf, type FleetContext, isoTime } from './fleet-context.ts';
import { METRIC_UNITS } from './metrics-schema.ts';
import type { ArgsOf, OperationResult } from './operations.ts';
import { niceStep, timeRangeOf } from './time-range.ts';

/** Values that an answer has of each metric unless it is told otherwise, and at most. */
const POINTS_COUNT = 60;
const POINTS_MAX_COUNT = 500;
/** Of containers, in an error. */
const NAMES_SHOWN_COUNT = 20;

const HOST_DEFAULT: readonly Metric[] = [
  'cpu',
  'memory_percent',
  'disk_percent',
  'network_rx',
  'network_tx',
];
const CONTAINER_DEFAULT: readonly Metric[] = ['cpu', 'memory', 'network_rx', 'network_tx'];

type Args = ArgsOf<'get_agent_metrics'>;
type Result = OperationResult<'get_agent_metrics'>;

/**
 * The metrics of a server or of one of its containers over time. Throws INVALID_PARAMS, UNKNOWN_SERVER,
 * and NOT_FOUND for a container of which nothing is kept.
 */
export async function agentMetrics(context: FleetContext, args: Args): Promise<Result> {
  const agent = await agentOf(context, args.server_id);
  const query = await queryOf(context, agent, args);
  // What was just reported is in memory until then.
  await context.hub.telemetry.flush();
  await refuseUnknownContainer(context, agent, args);
  const history = context.db.metricsHistory;
  const containers = args.container === undefined ? await history.containers(agent.id) : [];
  const [points, summaries] = [await history.points(query), await history.summaries(query)];
  const stepSeconds = query.stepMs / 1_000;
  return {
    server_id: args.server_id,
    ...(args.container === undefined ? {} : { container: args.container }),
    since: isoTime(query.since),
    until: isoTime(query.until),
    step_seconds: stepSeconds,
    aggregate: args.aggregate,
    ...valuesOf(query, points, summaries),
    ...(containers.length === 0 ? {} : { containers }),
    ...noteOf(context, agent, query, points),
  };
}

async function queryOf(
  context: FleetContext,
  agent: AgentRow,
  { container, since, until, metrics, step_seconds, aggregate }: Args,
): Promise<HistoryQuery> {
  const now = Date.now();
  const range = rangeOf({ since, until }, now);
  const chosen = [...new Set(metrics ?? defaultsOf(container))];
  refuseUnknown(chosen, container);
  const stepSeconds =
    step_seconds === undefined
      ? await chosenStep(context, agent, range, now)
      : checkedStep(step_seconds, range);
  return {
    agentId: agent.id,
    container,
    metrics: chosen,
    ...range,
    stepMs: stepSeconds * 1_000,
    aggregate,
  };
}

type Range = Pick<HistoryQuery, 'since' | 'until'>;

function rangeOf(span: Pick<Args, 'since' | 'until'>, now: number): Range {
  const { since = now, until = now } = timeRangeOf(span, now);
  if (since >= until) {
    throw invalid(`since (${isoTime(since)}) is not before until (${isoTime(until)}).`);
  }
  // Nothing older is kept; and nothing is measured ahead of time, as far as clocks agree.
  const oldest = now - MEAN_MAX_AGE_MS;
  return {
    since: Math.max(since, Math.min(oldest, until - 1)),
    until: Math.min(until, Math.max(now, since) + 1),
  };
}

function defaultsOf(container: string | undefined): readonly Metric[] {
  return container === undefined ? HOST_DEFAULT : CONTAINER_DEFAULT;
}

function refuseUnknown(metrics: readonly Metric[], container: string | undefined): void {
  const known: readonly Metric[] = container === undefined ? HOST_METRICS : CONTAINER_METRICS;
  const unknown = metrics.filter((metric) => !known.includes(metric));
  if (unknown.length === 0) return;
  const subject = container === undefined ? 'a server (name a container for it)' : 'a container';
  throw invalid(
    `${unknown.join(', ')}: not measured of ${subject}. There are: ${known.join(', ')}.`,
  );
}

/** Not shorter than the agent measures, nor than means that lie in the range. */
async function chosenStep(
  { db }: FleetContext,
  agent: AgentRow,
  { since, until }: Range,
  now: number,
): Promise<number> {
  const { metrics_interval } = effectiveConfig(await db.settings.all(), agent.config);
  const measured = since < now - RAW_MAX_AGE_MS ? MEAN_SECONDS : metrics_interval;
  return niceStep(Math.max(measured, (until - since) / 1_000 / POINTS_COUNT));
}

function checkedStep(stepSeconds: number, { since, until }: Range): number {
  const shortest = (until - since) / 1_000 / POINTS_MAX_COUNT;
  if (stepSeconds >= shortest) return stepSeconds;
  throw invalid(
    `step_seconds ${stepSeconds} makes more than ${POINTS_MAX_COUNT} values of this time: ask for ${niceStep(shortest)} or more, or for less time.`,
  );
}

/** Throws NOT_FOUND with the names there are. */
async function refuseUnknownContainer(
  { db }: FleetContext,
  agent: AgentRow,
  { server_id, container }: Args,
): Promise<void> {
  if (container === undefined || (await db.metricsHistory.hasContainer(agent.id, container)))
    return;
  const known = (await db.metricsHistory.containers(agent.id)).slice(0, NAMES_SHOWN_COUNT);
  const names = known.length === 0 ? 'of none at all' : `of ${known.join(', ')}`;
  throw new TomoError(
    'NOT_FOUND',
    `No metrics are kept of a container "${container}" on ${server_id}, but ${names}. Containers are named as docker.containers.list names them.`,
    { facts: { server_id, container } },
  );
}

function valuesOf(
  { metrics, stepMs }: HistoryQuery,
  points: readonly HistoryPoint[],
  summaries: readonly HistorySummary[],
): Pick<Result, 'times' | 'series'> {
  const grid = withGaps(points, stepMs);
  const newest = points.at(-1);
  return {
    times: grid.map(({ at }) => isoTime(at)),
    series: metrics.map((metric, index) => {
      const { min = null, avg = null, max = null } = summaries[index] ?? {};
      return {
        metric,
        unit: METRIC_UNITS[metric],
        values: grid.map(({ values }) => rounded(values[index] ?? null)),
        min: rounded(min),
        avg: rounded(avg),
        max: rounded(max),
        last: rounded(newest?.values[index] ?? null),
      };
    }),
  };
}

/** Steps without a measurement between others, so that they show as such. */
function withGaps(points: readonly HistoryPoint[], stepMs: number): HistoryPoint[] {
  const grid: HistoryPoint[] = [];
  for (const point of points) {
    let last = grid.at(-1);
    while (last !== undefined && last.at + stepMs < point.at) {
      last = { at: last.at + stepMs, values: [] };
      grid.push(last);
    }
    grid.push(point);
  }
  return grid;
}

/** Bytes are whole, shares have two places. */
function rounded(value: number | null): number | null {
  if (value === null) return null;
  return Math.abs(value) >= 1_000 ? Math.round(value) : Math.round(value * 100) / 100;
}

function noteOf(
  { hub }: FleetContext,
  agent: AgentRow,
  { since, until }: HistoryQuery,
  points: readonly HistoryPoint[],
): Pick<Result, 'note'> {
  if (points.length > 0) return {};
  const range = `Nothing was measured from ${isoTime(since)} to ${isoTime(until)}.`;
  const reason =
    hub.connected(agent.id) === undefined
      ? 'The agent is not connected: get_agent_status says since when.'
      : 'The agent is connected: its first metrics come within a measuring interval.';
  return { note: `${range} ${reason} Kept are 24 hours as measured and 30 days as means.` };
}

function invalid(message: string): TomoError {
  return new TomoError('INVALID_PARAMS', message);
}
