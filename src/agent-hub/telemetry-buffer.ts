import { setImmediate } from 'node:timers/promises';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { Health, Metrics, MoveFailure } from '../../protocol/telemetry.ts';
import type { TomoDatabase } from '../db/database.ts';
import type { NewEvent } from '../db/event-repository.ts';
import type { ContainerMeasurement, Measurement } from '../db/metrics-repository.ts';
import type { Receipt } from './event-sequence.ts';
import { LatestReports } from './latest-reports.ts';
import { containerMeasurementsOf, measurementOf } from './measurement.ts';
import { TelemetryRoom } from './telemetry-room.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** What is taken in one round; what is more is dropped and counted, the newest first. */
const REPORTED_ROOM = {
  agent: { rows: 500, bytes: MIB },
  all: { rows: 20_000, bytes: 32 * MIB },
};
/** Of what the hub itself records about agents, of each type: nothing that agents report takes this room. */
const OWN_ROOM = {
  agent: { rows: 10, bytes: 64 * KIB },
  all: { rows: 20_000, bytes: 8 * MIB },
};
/** Reports of metrics of one agent: they come 5 s apart, or some together after a stall. */
const AGENT_MAX_REPORTS = 4;
/**
 * Of containers' metrics, of which one report can have hundreds, so that they cost no others. Names have
 * 255 characters at most. Writing all of them takes a tenth of a round.
 */
const CONTAINERS_ROOM = {
  agent: { rows: 300, bytes: Number.POSITIVE_INFINITY },
  all: { rows: 30_000, bytes: Number.POSITIVE_INFINITY },
};
/** Rows of metrics that one transaction writes, about. */
const METRICS_BATCH_ROWS = 1_000;
/** What a row takes beside the detail of an event. */
const ROW_BYTES = 256;

/** What agents report is called so; nothing else is. */
export const REPORTED_PREFIX = 'agent.';

interface Report {
  readonly measurement: Measurement;
  readonly containers: readonly ContainerMeasurement[];
}

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
  readonly #reported = new TelemetryRoom(REPORTED_ROOM);
  readonly #containers = new TelemetryRoom(CONTAINERS_ROOM);
  /** By type. */
  readonly #own = new Map<string, TelemetryRoom>();
  readonly #reportsOfAgent = new Map<string, number>();
  #isRoundOver = false;
  #reports: Report[] = [];
  #events: HeldEvent[] = [];
  #flushing: Promise<void> = Promise.resolve();
  #dropped = 0;

  constructor(options: TelemetryOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.nextRound(), options.flushMs);
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
    const room = this.#roomOf(event.type);
    const bytes = ROW_BYTES + Buffer.byteLength(detail);
    const fits = room.takes(event.agentId, { rows: 1, bytes });
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
    const count = this.#reportsOfAgent.get(agentId) ?? 0;
    const row = { rows: 1, bytes: ROW_BYTES };
    if (count >= AGENT_MAX_REPORTS || !this.#reported.takes(agentId, row)) {
      this.#dropped += 1;
      return;
    }
    this.#reportsOfAgent.set(agentId, count + 1);
    const containers = containerMeasurementsOf(agentId, metrics, at);
    // All of one report or none, so that no container seems to be away.
    const fits = this.#containers.takes(agentId, { rows: containers.length, bytes: 0 });
    if (!fits) this.#dropped += containers.length;
    this.#reports.push({ measurement, containers: fits ? containers : [] });
  }

  /** Writes what has gathered, and gives everybody room anew. */
  nextRound(): Promise<void> {
    this.#isRoundOver = true;
    return this.flush();
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

  #roomOf(type: string): TelemetryRoom {
    if (type.startsWith(REPORTED_PREFIX)) return this.#reported;
    let room = this.#own.get(type);
    if (room === undefined) {
      room = new TelemetryRoom(OWN_ROOM);
      this.#own.set(type, room);
    }
    return room;
  }

  async #write(): Promise<void> {
    const { db } = this.#options;
    const seen = Array.from(this.#lastSeen, ([agentId, lastSeen]) => ({ agentId, lastSeen }));
    const [reports, events] = [this.#reports, this.#events];
    [this.#reports, this.#events] = [[], []];
    if (this.#isRoundOver) this.#clearRooms();
    if (await this.#wrote(seen, (rows) => db.agents.touch(rows))) this.#forgetWritten(seen);
    await this.#writeEvents(events);
    await this.#writeReports(reports);
  }

  /** Not in every write: whoever reads has one made, and could make many. */
  #clearRooms(): void {
    this.#isRoundOver = false;
    for (const room of [this.#reported, this.#containers, ...this.#own.values()]) room.clear();
    this.#reportsOfAgent.clear();
  }

  /** Some at a time, between which others have their turn. Past a failure none is tried. */
  async #writeReports(reports: readonly Report[]): Promise<void> {
    const { metrics } = this.#options.db;
    let isWritable = true;
    for (const some of batchesOf(reports)) {
      const measurements = some.map(({ measurement }) => measurement);
      const containers = some.flatMap((report) => report.containers);
      isWritable &&= await this.#wrote(measurements, (rows) => metrics.append(rows, containers));
      if (isWritable) await setImmediate();
      else this.#dropped += measurements.length + containers.length;
    }
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

function* batchesOf(reports: readonly Report[]): Generator<readonly Report[]> {
  let batch: Report[] = [];
  let rows = 0;
  for (const report of reports) {
    batch.push(report);
    rows += 1 + report.containers.length;
    if (rows < METRICS_BATCH_ROWS) continue;
    yield batch;
    [batch, rows] = [[], 0];
  }
  if (batch.length > 0) yield batch;
}

/** One event at a time, so that only one is in memory as objects. */
function* parsed(events: readonly HeldEvent[]): Generator<NewEvent> {
  for (const { receipt: _, ...event } of events) {
    yield { ...event, detail: detailSchema.parse(JSON.parse(event.detail)) };
  }
}
