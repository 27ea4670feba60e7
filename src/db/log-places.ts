import { z } from 'zod';
import type { Connection } from './connection.ts';
import type { NewLogBatch, NewLogLine } from './log-repository.ts';

/**
 * Outputs of one agent's containers of which it is known how far they are stored; past it the oldest go. Both
 * of as many containers as the agent itself knows.
 */
const POSITIONS_MAX_COUNT = 2 * 2_000;

const placeSchema = z
  .object({
    epoch: z.string(),
    at: z.string(),
    n: z.number(),
    isChanged: z.literal(false).default(false),
  })
  .optional();

interface Place {
  readonly epoch: string;
  readonly at: string;
  readonly n: number;
  readonly isChanged: boolean;
}

/** The table, past drizzle: statements built anew for every container took a hundred times as long. */
export class PlaceTable {
  readonly #read;
  readonly #write;
  readonly #prune;

  constructor({ client }: Connection) {
    this.#read = client.prepare<[string, string, string]>(
      'SELECT epoch, at, n FROM log_positions WHERE agent_id = ? AND container_id = ? AND stream = ?',
    );
    this.#write = client.prepare<[string, string, string, string, string, number, number]>(
      `INSERT OR REPLACE INTO log_positions (
        agent_id, container_id, stream, epoch, at, n, stored_at
      ) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#prune = client.prepare<[string]>(
      `DELETE FROM log_positions WHERE rowid IN (
        SELECT rowid FROM log_positions WHERE agent_id = ?
        ORDER BY stored_at DESC LIMIT -1 OFFSET ${POSITIONS_MAX_COUNT}
      )`,
    );
  }

  read(agentId: string, containerId: string, stream: string): Place | undefined {
    return placeSchema.parse(this.#read.get(agentId, containerId, stream));
  }

  write(agentId: string, containerId: string, stream: string, place: Place, at: number): void {
    this.#write.run(agentId, containerId, stream, place.epoch, place.at, place.n, at);
  }

  /** Lets the oldest of an agent go that are too many. */
  prune(agentId: string): void {
    this.#prune.run(agentId);
  }
}

/**
 * Knows which lines of a batch were stored before. An agent that was started anew reads some of a log
 * twice; a process that goes on does not, whatever times a moved clock gives its lines. To be used
 * inside a transaction.
 */
export class LogPlaces {
  readonly #table: PlaceTable;
  readonly #batch: NewLogBatch;
  readonly #places = new Map<string, Map<NewLogLine['stream'], Place | undefined>>();

  constructor(table: PlaceTable, batch: NewLogBatch) {
    this.#table = table;
    this.#batch = batch;
  }

  isNew(containerId: string, { stream, at, n }: NewLogLine): boolean {
    const { epoch } = this.#batch;
    const known = this.#find(containerId, stream);
    const isPast = known !== undefined && known.epoch !== epoch && !isBehind({ at, n }, known);
    if (isPast) return false;
    this.#places.get(containerId)?.set(stream, { epoch, at, n, isChanged: true });
    return true;
  }

  /** Writes the last places. */
  write(storedAt: number): void {
    const { agentId } = this.#batch;
    for (const [containerId, streams] of this.#places) {
      for (const [stream, place] of streams) {
        if (place?.isChanged !== true) continue;
        this.#table.write(agentId, containerId, stream, place, storedAt);
      }
    }
    this.#table.prune(agentId);
  }

  #find(containerId: string, stream: NewLogLine['stream']): Place | undefined {
    let streams = this.#places.get(containerId);
    if (streams === undefined) {
      streams = new Map();
      this.#places.set(containerId, streams);
    }
    if (!streams.has(stream)) {
      streams.set(stream, this.#table.read(this.#batch.agentId, containerId, stream));
    }
    return streams.get(stream);
  }
}

type Order = Pick<Place, 'at' | 'n'>;

function isBehind(one: Order, other: Order): boolean {
  if (one.at.length !== other.at.length) return one.at.length > other.at.length;
  return one.at === other.at ? one.n > other.n : one.at > other.at;
}
