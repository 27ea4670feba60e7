import type { TomoDatabase } from '../db/database.ts';
import type { BatchPlace, LogBatchRow } from '../db/log-listing.ts';
import { mayHaveLost, parseLogLines, type StoredLogLine } from '../db/log-repository.ts';

/** Where a line stands in the order of the search: by time, then by arrival. */
export interface LinePosition {
  readonly at: number;
  readonly batch: number;
  readonly index: number;
}

export interface FoundLine extends StoredLogLine {
  readonly serverId: string;
  readonly position: LinePosition;
}

export interface LogQuery {
  readonly text?: string | undefined;
  readonly container?: string | undefined;
  readonly stream?: 'stdout' | 'stderr' | undefined;
  readonly agentIds?: readonly string[] | undefined;
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  /** The last line of the page before. */
  readonly after?: LinePosition | undefined;
  /** How many lines are wanted. */
  readonly limit: number;
}

/** Few, because a step holds up everything else: at most a mebibyte of lines. */
const BATCHES_A_STEP_COUNT = 4;
/** Containers of which it is said that lines are lost. */
const LOST_MAX_COUNT = 20;
/** Shorter than what begins an id in anybody's mouth, names would be taken for ids. */
const ID_MIN_CHARS = 6;

/**
 * Searches the stored batches from the latest on, and gives the lines that fit in the order of their
 * times, although the times of the batches overlap.
 */
export class LogSearch {
  readonly #logs: TomoDatabase['logs'];
  readonly #query: LogQuery;
  /** The text as it stands in stored JSON. */
  readonly #needle: string;
  /** Found, and maybe not the next: latest first. */
  #waiting: FoundLine[] = [];
  #last: BatchPlace | undefined;
  #isDone = false;
  readonly #lost = new Map<string, number>();

  constructor(logs: TomoDatabase['logs'], query: LogQuery) {
    this.#logs = logs;
    this.#query = query;
    this.#needle = JSON.stringify(query.text ?? '')
      .slice(1, -1)
      .toLowerCase();
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  /** How often lines are lost where it has searched, whatever their text: of each SERVER/CONTAINER. */
  get lost(): ReadonlyMap<string, number> {
    return this.#lost;
  }

  /** A place before which everything that fits was given. */
  get reached(): LinePosition | undefined {
    return this.#last === undefined ? this.#query.after : endOf(this.#last);
  }

  /** The next lines that fit; none does not mean that there are no more. */
  async step(): Promise<FoundLine[]> {
    const { agentIds, since, until, after } = this.#query;
    const rows = await this.#logs.list({
      agentIds,
      since,
      until,
      before: after,
      after: this.#last,
      limit: BATCHES_A_STEP_COUNT,
    });
    for (const row of rows) if (this.#mayFit(row)) this.#waiting.push(...this.#fitting(row));
    // One more than are wanted shows that there are more; what is behind it will not be asked for.
    this.#waiting = this.#waiting.toSorted(byPosition).slice(0, this.#query.limit + 1);
    const { lastAt, id } = rows.at(-1) ?? {};
    if (lastAt === undefined || id === undefined || rows.length < BATCHES_A_STEP_COUNT) {
      this.#isDone = true;
      return this.#waiting.splice(0);
    }
    this.#last = { lastAt, id };
    const position = endOf(this.#last);
    const end = this.#waiting.findIndex((line) => byPosition(line, { position }) > 0);
    return this.#waiting.splice(0, end === -1 ? this.#waiting.length : end);
  }

  /** Most batches are passed over by a look at their text. */
  #mayFit(row: LogBatchRow): boolean {
    if (this.#needle === '' || mayHaveLost(row)) return true;
    return row.lines.toLowerCase().includes(this.#needle);
  }

  #fitting(row: LogBatchRow): FoundLine[] {
    const { id: batch, serverId } = row;
    const text = this.#query.text?.toLowerCase();
    return parseLogLines(row).flatMap((line, index) => {
      const position = { at: line.at, batch, index };
      const isSaid = text === undefined || line.text.toLowerCase().includes(text);
      if (!isSaid && !line.isLost) return [];
      if (!this.#fits(line) || !this.#isAfter(position)) return [];
      if (line.isLost) this.#noteLost(`${serverId}/${line.container}`);
      return isSaid ? [{ ...line, serverId, position }] : [];
    });
  }

  #noteLost(of: string): void {
    const count = this.#lost.get(of) ?? 0;
    if (count > 0 || this.#lost.size < LOST_MAX_COUNT) this.#lost.set(of, count + 1);
  }

  #fits({ at, stream, container, containerId }: StoredLogLine): boolean {
    const { since = 0, until = Number.POSITIVE_INFINITY, ...wanted } = this.#query;
    if (at < since || at >= until) return false;
    if (wanted.stream !== undefined && stream !== wanted.stream) return false;
    const { container: name } = wanted;
    if (name === undefined || container === name) return true;
    return name.length >= ID_MIN_CHARS && containerId.startsWith(name);
  }

  #isAfter(position: LinePosition): boolean {
    const { after } = this.#query;
    return after === undefined || byPosition({ position: after }, { position }) < 0;
  }
}

type Placed = Pick<FoundLine, 'position'>;

/** The latest first; of one time the one that arrived last. */
function byPosition({ position: one }: Placed, { position: other }: Placed): number {
  return other.at - one.at || other.batch - one.batch || other.index - one.index;
}

/** What is in the batches that follow this one is behind that. */
function endOf({ lastAt, id }: BatchPlace): LinePosition {
  return { at: lastAt, batch: id, index: -1 };
}
