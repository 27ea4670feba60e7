import type { Logger } from 'pino';
import { type Health, type Metrics, metricsSchema } from '../../protocol/telemetry.ts';
import type { TomoDatabase } from '../db/database.ts';
import type { NewEvent } from '../db/event-repository.ts';
import type { Measurement } from '../db/metrics-repository.ts';

/** Rows held back for the next write; past it the newest are dropped and counted. */
const QUEUE_MAX_ROWS = 20_000;
/** The same for one agent, so that none can take the room of the others. */
const AGENT_MAX_ROWS = 500;

/** What agents report all the time, written in one go every few seconds and never once per message. */
export class TelemetryBuffer {
  readonly #db: TomoDatabase;
  readonly #log: Logger;
  readonly #lastSeen = new Map<string, number>();
  readonly #latestMetrics = new Map<string, { at: number; metrics: Metrics }>();
  readonly #latestHealth = new Map<string, { at: number; health: Health }>();
  readonly #timer: NodeJS.Timeout;
  readonly #rowsOfAgent = new Map<string, number>();
  #metrics: Measurement[] = [];
  #events: NewEvent[] = [];
  #flushing: Promise<void> = Promise.resolve();
  #dropped = 0;

  constructor(db: TomoDatabase, flushMs: number, log: Logger) {
    this.#db = db;
    this.#log = log;
    this.#timer = setInterval(() => void this.flush(), flushMs);
    this.#timer.unref();
  }

  /** Rows that were not kept because the database could not take them. */
  get dropped(): number {
    return this.#dropped;
  }

  /** When anything last arrived from the agent, if it is not written yet. */
  lastSeen(agentId: string): number | undefined {
    return this.#lastSeen.get(agentId);
  }

  latestMetrics(agentId: string): { at: number; metrics: Metrics } | undefined {
    return this.#latestMetrics.get(agentId);
  }

  latestHealth(agentId: string): { at: number; health: Health } | undefined {
    return this.#latestHealth.get(agentId);
  }

  seen(agentId: string, at: number): void {
    this.#lastSeen.set(agentId, at);
  }

  /** Forgets what is kept in memory for an agent that went. */
  forget(agentId: string): void {
    this.#latestMetrics.delete(agentId);
    this.#latestHealth.delete(agentId);
  }

  event(event: NewEvent): void {
    if (this.#hasRoom(event.agentId)) this.#events.push(event);
  }

  /** Takes the parsed params of `health.status`; undefined params are ignored. */
  health(agentId: string, health: Health | undefined, at: number): void {
    if (health !== undefined) this.#latestHealth.set(agentId, { at, health });
  }

  /** Takes the params of `metrics.update`; false if they are not metrics. */
  metrics(agentId: string, params: unknown, at: number): boolean {
    const parsed = metricsSchema.safeParse(params);
    if (!parsed.success) return false;
    this.#latestMetrics.set(agentId, { at, metrics: parsed.data });
    if (this.#hasRoom(agentId)) this.#metrics.push(measurement(agentId, parsed.data, at));
    return true;
  }

  /** Writes what has gathered. A failed write keeps last_seen for the next one and loses the rows. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#write());
    return this.#flushing;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  /** Whether one more row of the agent is taken; one that is not is counted. */
  #hasRoom(agentId: string): boolean {
    const rows = this.#rowsOfAgent.get(agentId) ?? 0;
    if (rows >= AGENT_MAX_ROWS || this.#metrics.length + this.#events.length >= QUEUE_MAX_ROWS) {
      this.#dropped += 1;
      return false;
    }
    this.#rowsOfAgent.set(agentId, rows + 1);
    return true;
  }

  async #write(): Promise<void> {
    const seen = Array.from(this.#lastSeen, ([agentId, lastSeen]) => ({ agentId, lastSeen }));
    const [metrics, events] = [this.#metrics, this.#events];
    [this.#metrics, this.#events] = [[], []];
    this.#rowsOfAgent.clear();
    if (await this.#wrote(seen, (rows) => this.#db.agents.touch(rows))) this.#forgetWritten(seen);
    if (!(await this.#wrote(metrics, (rows) => this.#db.metrics.append(rows)))) {
      this.#dropped += metrics.length;
    }
    if (!(await this.#wrote(events, (rows) => this.#db.events.append(rows)))) {
      this.#dropped += events.length;
    }
  }

  /** Each kind of rows by itself, so that one that fails does not cost the others. */
  async #wrote<T>(
    rows: readonly T[],
    write: (rows: readonly T[]) => Promise<void>,
  ): Promise<boolean> {
    if (rows.length === 0) return true;
    try {
      await write(rows);
      return true;
    } catch (error) {
      this.#log.error({ err: error }, 'agents’ telemetry could not be written');
      return false;
    }
  }

  #forgetWritten(seen: readonly { agentId: string; lastSeen: number }[]): void {
    for (const { agentId, lastSeen } of seen) {
      if (this.#lastSeen.get(agentId) === lastSeen) this.#lastSeen.delete(agentId);
    }
  }
}

function measurement(agentId: string, metrics: Metrics, at: number): Measurement {
  return {
    agentId,
    at,
    cpu: metrics.cpu,
    memoryUsed: metrics.memory.used,
    memoryTotal: metrics.memory.total,
    memoryPercent: metrics.memory.percent,
    diskUsed: metrics.disk.used,
    diskTotal: metrics.disk.total,
    diskPercent: metrics.disk.percent,
    containersRunning: metrics.containers.running,
    containersStopped: metrics.containers.stopped,
  };
}
