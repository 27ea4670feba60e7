import { eq } from 'drizzle-orm';
import { z } from 'zod';
import type { Connection } from './connection.ts';
import { inSteps } from './in-steps.ts';
import { type LogBatchRow, type LogFilter, LogListing } from './log-listing.ts';
import { LogPlaces, PlaceTable } from './log-places.ts';
import { LogRoom } from './log-room.ts';
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
/** How many times what a batch takes goes with it at most: where bounds were lowered the rest goes later. */
const EVICTED_FACTOR = 2;

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
  readonly #room: LogRoom;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#places = new PlaceTable(connection);
    this.#listing = new LogListing(connection);
    this.#room = new LogRoom(connection);
  }

  /** Stores what is new of a batch, and lets the oldest go. Answers how many lines were new. */
  async store(batch: NewLogBatch, bounds: LogBounds): Promise<number> {
    return this.#transaction(() => {
      if (this.#isStored(batch)) return 0;
      const lines = this.#newLines(batch);
      let added = 0;
      for (const span of splitBySpan(lines, ([, , at]) => at)) added += this.#insert(batch, span);
      this.#note(batch);
      this.#makeRoom(batch.agentId, bounds, added * EVICTED_FACTOR);
      return lines.length;
    });
  }

  /** Batches with lines of a time, those with the latest lines first. */
  async list(filter: LogFilter): Promise<LogBatchRow[]> {
    return this.#connection.run(() => this.#listing.list(filter));
  }

  /** Holds an agent to what may be kept, in short transactions. */
  async trim(agentId: string, bounds: LogBounds): Promise<void> {
    await this.#inSteps(() => this.#room.evictSome(agentId, bounds) > 0);
  }

  /** Bytes kept of an agent. */
  async bytesOf(agentId: string): Promise<number> {
    return this.#connection.run(() => this.#room.bytesOf(agentId));
  }

  /** Forgets all of an agent, in short transactions. */
  async forget(agentId: string): Promise<void> {
    await this.#inSteps(() => this.#room.dropOldest(agentId) > 0);
    const { orm } = this.#connection;
    await this.#connection.transaction(() => {
      orm.delete(logPositions).where(eq(logPositions.agentId, agentId)).run();
      orm.delete(logEpochs).where(eq(logEpochs.agentId, agentId)).run();
    });
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

  /** Lines in the order of their times. Answers what they take. */
  #insert(batch: NewLogBatch, stored: readonly StoredLine[]): number {
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
    this.#room.add(agentId, bytes);
    this.#connection.orm.insert(logBatches).values(row).run();
    return bytes;
  }

  #note({ agentId, epoch, batch }: NewLogBatch): void {
    this.#connection.orm
      .insert(logEpochs)
      .values({ agentId, epoch, batch })
      .onConflictDoUpdate({ target: logEpochs.agentId, set: { epoch, batch } })
      .run();
  }

  #makeRoom(agentId: string, bounds: LogBounds, maxBytes: number): void {
    let left = maxBytes;
    while (left > 0) {
      const gone = this.#room.evictSome(agentId, bounds, left);
      if (gone === 0) return;
      left -= gone;
    }
  }

  #transaction<T>(work: () => T): Promise<T> {
    return this.#counting(() => this.#connection.transaction(work));
  }

  async #inSteps(step: () => boolean): Promise<void> {
    await this.#counting(() => inSteps(this.#connection, undefined, step));
  }

  async #counting<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      // What was counted was undone.
      this.#room.undone();
      throw error;
    }
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
