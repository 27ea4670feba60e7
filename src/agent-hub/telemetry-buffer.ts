import type { Logger } from 'pino';
import { z } from 'zod';
import type { Health, Metrics, MoveFailure } from '../../protocol/telemetry.ts';
import type { TomoDatabase } from '../db/database.ts';
import type { NewEvent } from '../db/event-repository.ts';
import type { ContainerMeasurement, Measurement } from '../db/metrics-repository.ts';
import type { Receipt } from './event-sequence.ts';
import { LatestReports } from './latest-reports.ts';
import { containerMeasurementsOf, measurementOf } from './measurement.ts';

/** Rows held back for the next write, and their bytes; past it the newest are dropped and counted. */
const QUEUE_MAX_ROWS = 20_000;
const QUEUE_MAX_BYTES = 32 * 1024 * 1024;
/** The same for one agent, so that none can take the room of the others. */
const AGENT_MAX_ROWS = 500;
const AGENT_MAX_BYTES = 1024 * 1024;
/** Reports of metrics of one agent: they come 5 s apart, or some together after a stall. */
const AGENT_MAX_REPORTS = 4;
/** The same of containers' metrics, of which one report can have hundreds, so that they cost no others. */
const CONTAINERS_MAX_ROWS = 6_000;
const AGENT_CONTAINERS_MAX_ROWS = 300;
/** What a row takes beside the detail of an event. */
const ROW_BYTES = 256;

interface Held {
  rows: number;
  bytes: number;
}

/** What is held of an agent's metrics. */
interface Measured {
  readonly reports: number;
  readonly containers: number;
}

const NOTHING: Measured = { reports: 0, containers: 0 };

/** An event whose detail is kept as text: parsed, small values take many times their bytes. */
type HeldEvent = Omit<NewEvent, 'detail'> & {
  readonly detail: string;
  readonly receipt: Receipt | undefined;
};

const detailSchema = z.record(z.string(), z.unknown()).nullable();

interface TelemetryOptions {
  readonly db: Pick<TomoDatabase, 'agents' | 'metrics' | 'events'>;
  readonly log: Logger;
  readonly flushMs: number;
  /** Told of the server of every event, kept or not. */
  readonly onEvent?: (serverId: string) => void;
  /** Run first in every flush. */
  readonly beforeWrite: () => Promise<void>;
}

/** What agents report all the time, written in one go every few seconds and never once per message. */
export class TelemetryBuffer {
  readonly #options: TelemetryOptions;
  readonly #lastSeen = new Map<string, number>();
  readonly #latest = new LatestReports();
  readonly #timer: NodeJS.Timeout;
  readonly #heldOfAgent = new Map<string, Held>();
  #held: Held = { rows: 0, bytes: 0 };
  #metrics: Measurement[] = [];
  #containers: ContainerMeasurement[] = [];
  readonly #measuredOfAgent = new Map<string, Measured>();
  #events: HeldEvent[] = [];
  #flushing: Promise<void> = Promise.resolve();
  #dropped = 0;

  constructor(options: TelemetryOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.flush(), options.flushMs);
    this.#timer.unref();
  }

  /**
   * Rows that were not kept: there were too many, or the database could not take them. Without the
   * events that their agents send again.
   */
  get dropped(): number {
    return this.#dropped;
  }

  /** When anything last arrived from the agent, if it is not written yet. */
  lastSeen(agentId: string): number | undefined {
    return this.#lastSeen.get(agentId);
  }

  latestMetrics(agentId: string): { at: number; metrics: Metrics } | undefined {
    return this.#latest.metrics(agentId);
  }

  /** The figures of the same that are kept over time. */
  latestMeasurement(agentId: string): Measurement | undefined {
    return this.#latest.measurement(agentId);
  }

  latestHealth(agentId: string): { at: number; health: Health } | undefined {
    return this.#latest.health(agentId);
  }

  /** Why the agent could not move to another address, since it is connected. */
  latestMoveFailure(agentId: string): { at: number; failure: MoveFailure } | undefined {
    return this.#latest.moveFailure(agentId);
  }

  seen(agentId: string, at: number): void {
    this.#lastSeen.set(agentId, at);
  }

  /** Forgets what is kept in memory for an agent that went. */
  forget(agentId: string): void {
    this.#latest.forget(agentId);
  }

  /** Whether there was room. The receipt, if it has one, is told what became of the event. */
  event(event: NewEvent, receipt?: Receipt): boolean {
    this.#options.onEvent?.(event.serverId);
    const detail = JSON.stringify(event.detail ?? null);
    const fits = this.#takes(event.agentId, Buffer.byteLength(detail));
    if (fits) this.#events.push({ ...event, detail, receipt });
    else if (receipt === undefined) this.#dropped += 1;
    return fits;
  }

  /** Takes the parsed params of `health.status`; undefined params are ignored. */
  health(agentId: string, health: Health | undefined, at: number): void {
    if (health !== undefined) this.#latest.takeHealth(agentId, health, at);
  }

  /** Takes the parsed detail of `move_failed`; undefined is ignored. */
  moveFailed(agentId: string, failure: MoveFailure | undefined, at: number): void {
    if (failure !== undefined) this.#latest.takeMoveFailure(agentId, failure, at);
  }

  /** Takes the parsed params of `metrics.update`; undefined params are ignored. */
  metrics(agentId: string, metrics: Metrics | undefined, at: number): void {
    if (metrics === undefined) return;
    const measurement = measurementOf(agentId, metrics, at);
    this.#latest.takeMetrics(metrics, measurement);
    const { reports, containers } = this.#measuredOfAgent.get(agentId) ?? NOTHING;
    if (reports >= AGENT_MAX_REPORTS || !this.#takes(agentId, 0)) {
      this.#dropped += 1;
      return;
    }
    this.#metrics.push(measurement);
    const taken = this.#takeContainers(containers, containerMeasurementsOf(agentId, metrics, at));
    this.#measuredOfAgent.set(agentId, { reports: reports + 1, containers: containers + taken });
  }

  /**
   * Writes what has gathered. A failed write keeps last_seen for the next one and loses the rows, of
   * which agents send events with a receipt again.
   */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.then(this.#options.beforeWrite).then(() => this.#write());
    return this.#flushing;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  /** Whether there is room for one more row of the agent, which then has it. */
  #takes(agentId: string, detailBytes: number): boolean {
    const ofAgent = this.#heldOfAgent.get(agentId) ?? { rows: 0, bytes: 0 };
    const bytes = ROW_BYTES + detailBytes;
    const fits =
      hasRoom(ofAgent, bytes, AGENT_MAX_ROWS, AGENT_MAX_BYTES) &&
      hasRoom(this.#held, bytes, QUEUE_MAX_ROWS, QUEUE_MAX_BYTES);
    if (!fits) return false;
    this.#heldOfAgent.set(agentId, added(ofAgent, bytes));
    this.#held = added(this.#held, bytes);
    return true;
  }

  /** All of one report or none, so that no container seems to be away. Answers how many rows. */
  #takeContainers(held: number, rows: readonly ContainerMeasurement[]): number {
    const ofAgent = held + rows.length;
    const ofAll = this.#containers.length + rows.length;
    if (ofAgent > AGENT_CONTAINERS_MAX_ROWS || ofAll > CONTAINERS_MAX_ROWS) {
      this.#dropped += rows.length;
      return 0;
    }
    this.#containers.push(...rows);
    return rows.length;
  }

  async #write(): Promise<void> {
    const { db } = this.#options;
    const seen = Array.from(this.#lastSeen, ([agentId, lastSeen]) => ({ agentId, lastSeen }));
    const [metrics, containers, events] = [this.#metrics, this.#containers, this.#events];
    [this.#metrics, this.#containers, this.#events] = [[], [], []];
    this.#heldOfAgent.clear();
    this.#measuredOfAgent.clear();
    this.#held = { rows: 0, bytes: 0 };
    if (await this.#wrote(seen, (rows) => db.agents.touch(rows))) this.#forgetWritten(seen);
    if (!(await this.#wrote(metrics, (rows) => db.metrics.append(rows, containers)))) {
      this.#dropped += metrics.length + containers.length;
    }
    await this.#writeEvents(events);
  }

  async #writeEvents(events: readonly HeldEvent[]): Promise<void> {
    const wanted = events.filter(({ receipt }) => receipt?.isVoid !== true);
    if (await this.#wrote(wanted, (rows) => this.#options.db.events.append(parsed(rows)))) {
      for (const { receipt } of wanted) receipt?.kept();
      return;
    }
    for (const { receipt } of wanted) {
      if (receipt === undefined) this.#dropped += 1;
      else receipt.lost();
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
      this.#options.log.error({ err: error }, 'agents’ telemetry could not be written');
      return false;
    }
  }

  #forgetWritten(seen: readonly { agentId: string; lastSeen: number }[]): void {
    for (const { agentId, lastSeen } of seen) {
      if (this.#lastSeen.get(agentId) === lastSeen) this.#lastSeen.delete(agentId);
    }
  }
}

function hasRoom(held: Held, bytes: number, maxRows: number, maxBytes: number): boolean {
  return held.rows < maxRows && held.bytes + bytes <= maxBytes;
}

function added({ rows, bytes }: Held, more: number): Held {
  return { rows: rows + 1, bytes: bytes + more };
}

/** One event at a time, so that only one is in memory as objects. */
function* parsed(events: readonly HeldEvent[]): Generator<NewEvent> {
  for (const { receipt: _, ...event } of events) {
    yield { ...event, detail: detailSchema.parse(JSON.parse(event.detail)) };
  }
}
