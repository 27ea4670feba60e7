import { asc, eq, sql } from 'drizzle-orm';
import { z } from 'zod';
import type { Connection } from './connection.ts';
import { type LogBatchRow, type LogFilter, LogListing } from './log-listing.ts';
import { LogPlaces, PlaceTable } from './log-places.ts';
import { splitBySpan } from './log-spans.ts';
import { logBatches, logEpochs, logPositions } from './log-tables.ts';

/** A batch of lines as an agent pushes it; times in nanoseconds since the epoch, as text. */
export interface NewLogBatch {
  readonly agentId: string;
  readonly serverId: string;
  readonly epoch: string;
  readonly batch: number;
  readonly containers: readonly { readonly id: string; readonly name: string }[];
  readonly lines: readonly NewLogLine[];
}

export interface NewLogLine {
  /** Place in `containers`. */
  readonly container: number;
  readonly stream: 'stdout' | 'stderr';
  readonly at: string;
  readonly n: number;
  readonly text: string;
  readonly cut?: true | undefined;
  /** No line of the container: it says that lines before it are lost. */
  readonly lost?: true | undefined;
}

/** What may be kept. */
export interface LogBounds {
  readonly agentBytes: number;
  readonly overallBytes: number;
}

const NANOSECOND_DIGITS_PAST_MS = 6;
/** What a row takes beside its texts. */
const ROW_BYTES = 256;
/** Batches looked at together when the oldest have to go. */
const EVICTED_AT_ONCE_COUNT = 64;

const CUT = 1;
const LOST = 2;

/** Container, stream (0: stdout, 1: stderr), milliseconds since the epoch, text; what is odd about it. */
const linesSchema = z.array(
  z.tuple(
    [z.int(), z.union([z.literal(0), z.literal(1)]), z.int(), z.string()],
    z.union([z.literal(CUT), z.literal(LOST)]),
  ),
);
type StoredLine = z.infer<typeof linesSchema>[number];

/** The logs of containers. Methods throw DatabaseError. */
export class LogRepository {
  readonly #connection: Connection;
  readonly #places: PlaceTable;
  readonly #listing: LogListing;
  /** Of each agent; counted when it is first asked for. */
  #bytes: Map<string, number> | undefined;
  #overall = 0;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#places = new PlaceTable(connection);
    this.#listing = new LogListing(connection);
  }

  /** Stores what is new of a batch, and lets the oldest go. Answers how many lines were new. */
  async store(batch: NewLogBatch, bounds: LogBounds): Promise<number> {
    return this.#transaction(() => {
      if (this.#isStored(batch)) return 0;
      const lines = this.#newLines(batch);
      for (const span of splitBySpan(lines, ([, , at]) => at)) this.#insert(batch, span);
      this.#note(batch);
      this.#evict(batch.agentId, bounds);
      return lines.length;
    });
  }

  /** Batches with lines of a time, those with the latest lines first. */
  async list(filter: LogFilter): Promise<LogBatchRow[]> {
    return this.#connection.run(() => this.#listing.list(filter));
  }

  /** Holds an agent to what may be kept. */
  async trim(agentId: string, bounds: LogBounds): Promise<void> {
    await this.#transaction(() => this.#evict(agentId, bounds));
  }

  /** Bytes kept of an agent. */
  async bytesOf(agentId: string): Promise<number> {
    return this.#connection.run(() => this.#counted().get(agentId) ?? 0);
  }

  /** Forgets all of an agent. */
  async forget(agentId: string): Promise<void> {
    const { orm } = this.#connection;
    await this.#connection.transaction(() => {
      orm.delete(logBatches).where(eq(logBatches.agentId, agentId)).run();
      orm.delete(logPositions).where(eq(logPositions.agentId, agentId)).run();
      orm.delete(logEpochs).where(eq(logEpochs.agentId, agentId)).run();
    });
    this.#bytes = undefined;
  }

  /** An agent sends a batch again whose acknowledgement it did not get. */
  #isStored({ agentId, epoch, batch }: NewLogBatch): boolean {
    const last = this.#connection.orm
      .select()
      .from(logEpochs)
      .where(eq(logEpochs.agentId, agentId))
      .get();
    return last !== undefined && last.epoch === epoch && batch <= last.batch;
  }

  #newLines(batch: NewLogBatch): StoredLine[] {
    const now = Date.now();
    const places = new LogPlaces(this.#places, batch);
    const lines: StoredLine[] = [];
    for (const line of batch.lines) {
      const container = batch.containers[line.container];
      if (container === undefined || !places.isNew(container.id, line)) continue;
      const stream = line.stream === 'stdout' ? 0 : 1;
      // A clock that is ahead would keep its lines on top of all others.
      const at = Math.min(now, Number(line.at.slice(0, -NANOSECOND_DIGITS_PAST_MS)));
      const stored: StoredLine = [line.container, stream, at, line.text];
      if (line.cut === true) stored.push(CUT);
      if (line.lost === true) stored.push(LOST);
      lines.push(stored);
    }
    places.write(now);
    return lines;
  }

  /** Lines in the order of their times. */
  #insert(batch: NewLogBatch, stored: readonly StoredLine[]): void {
    const { agentId, serverId } = batch;
    // Of many rows, each names only its own containers.
    const places = new Map(
      [...new Set(stored.map(([place]) => place))].map((at, row) => [at, row]),
    );
    const lines = JSON.stringify(
      stored.map(([place, ...rest]) => [places.get(place) ?? place, ...rest]),
    );
    const names = JSON.stringify(
      Array.from(places.keys(), (place) => {
        const { id = '', name = '' } = batch.containers[place] ?? {};
        return [id, name];
      }),
    );
    const bytes = ROW_BYTES + Buffer.byteLength(lines) + Buffer.byteLength(names);
    const [firstAt, lastAt] = [stored.at(0)?.[2] ?? 0, stored.at(-1)?.[2] ?? 0];
    const row = { agentId, serverId, firstAt, lastAt, bytes, containers: names, lines };
    this.#add(agentId, bytes);
    this.#connection.orm.insert(logBatches).values(row).run();
  }

  #note({ agentId, epoch, batch }: NewLogBatch): void {
    this.#connection.orm
      .insert(logEpochs)
      .values({ agentId, epoch, batch })
      .onConflictDoUpdate({ target: logEpochs.agentId, set: { epoch, batch } })
      .run();
  }

  async #transaction<T>(work: () => T): Promise<T> {
    try {
      return await this.#connection.transaction(work);
    } catch (error) {
      // What was counted was undone.
      this.#bytes = undefined;
      throw error;
    }
  }

  #evict(agentId: string, { agentBytes, overallBytes }: LogBounds): void {
    this.#dropOldest(agentId, (this.#counted().get(agentId) ?? 0) - agentBytes);
    // Of whoever keeps most, so that none costs the others theirs.
    while (this.#overall > overallBytes) {
      const greediest = this.#greediest();
      if (greediest === undefined) return;
      if (this.#dropSome(greediest, this.#overall - overallBytes) === 0) return;
    }
  }

  #dropOldest(agentId: string, excess: number): void {
    let left = excess;
    while (left > 0) {
      const dropped = this.#dropSome(agentId, left);
      if (dropped === 0) return;
      left -= dropped;
    }
  }

  /** Lets the oldest batches of an agent go, some at a time. Answers how many bytes they were. */
  #dropSome(agentId: string, excess: number): number {
    const { orm } = this.#connection;
    const { id, bytes } = logBatches;
    const oldest = orm
      .select({ id, bytes })
      .from(logBatches)
      .where(eq(logBatches.agentId, agentId))
      .orderBy(asc(id))
      .limit(EVICTED_AT_ONCE_COUNT)
      .all();
    let dropped = 0;
    for (const row of oldest) {
      if (dropped >= excess) break;
      orm.delete(logBatches).where(eq(id, row.id)).run();
      dropped += row.bytes;
    }
    this.#add(agentId, -dropped);
    return dropped;
  }

  #greediest(): string | undefined {
    let greediest: string | undefined;
    let most = 0;
    for (const [agentId, bytes] of this.#counted()) {
      if (bytes > most) [greediest, most] = [agentId, bytes];
    }
    return greediest;
  }

  #add(agentId: string, bytes: number): void {
    const counted = this.#counted();
    const sum = (counted.get(agentId) ?? 0) + bytes;
    if (sum > 0) counted.set(agentId, sum);
    else counted.delete(agentId);
    this.#overall += bytes;
  }

  #counted(): Map<string, number> {
    if (this.#bytes !== undefined) return this.#bytes;
    const { agentId, bytes } = logBatches;
    const sums = this.#connection.orm
      .select({ agentId, bytes: sql<number>`sum(${bytes})` })
      .from(logBatches)
      .groupBy(agentId)
      .all();
    this.#bytes = new Map(sums.map((sum) => [sum.agentId, sum.bytes]));
    this.#overall = sums.reduce((all, sum) => all + sum.bytes, 0);
    return this.#bytes;
  }
}

/** A line with its container's id and name; milliseconds since the epoch. */
export interface StoredLogLine {
  readonly containerId: string;
  readonly container: string;
  readonly stream: 'stdout' | 'stderr';
  readonly at: number;
  readonly text: string;
  readonly isCut: boolean;
  /** No line of the container: it says that lines before it are lost. */
  readonly isLost: boolean;
}

const containersSchema = z.array(z.tuple([z.string(), z.string()]));

/** The lines of a stored batch in the order of their times; those of one time as they came. */
export function parseLogLines({
  containers,
  lines,
}: Pick<LogBatchRow, 'containers' | 'lines'>): StoredLogLine[] {
  const names = containersSchema.parse(JSON.parse(containers));
  return linesSchema.parse(JSON.parse(lines)).map(([index, stream, at, text, ...odd]) => {
    const [containerId = '', container = ''] = names[index] ?? [];
    const line = { containerId, container, at, text } as const;
    const isCut = odd.includes(CUT);
    return {
      ...line,
      stream: stream === 0 ? 'stdout' : 'stderr',
      isCut,
      isLost: odd.includes(LOST),
    };
  });
}

/** Whether there can be such among them: as that stands at the end of a line. */
export function mayHaveLost({ lines }: Pick<LogBatchRow, 'lines'>): boolean {
  return lines.includes(`,${LOST}]`);
}
