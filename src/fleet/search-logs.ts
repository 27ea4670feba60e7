import { setImmediate as nextTurn } from 'node:timers/promises';
import { z } from 'zod';
import { LOG_CONTAINERS_MAX_COUNT, LOG_SEARCH_MAX_MS } from '../../protocol/limits.ts';
import type { Caller } from './fleet.ts';
import { type FleetContext, isoTime } from './fleet-context.ts';
import { type FoundLine, type LinePosition, LogSearch } from './log-search.ts';
import { namedAgents } from './matching-agents.ts';
import type { ArgsOf, OperationResult } from './operations.ts';
import { cursorOf, placeOf } from './page-cursor.ts';
import { searchCancelled } from './search-turns.ts';
import { TextPage } from './text-page.ts';
import { timeRangeOf } from './time-range.ts';

type SearchResult = OperationResult<'search_logs'>;

/**
 * Lines of collected logs, the newest first, a page at a time. Throws INVALID_PARAMS, UNKNOWN_SERVER,
 * LIMIT_REACHED and COMMAND_CANCELLED.
 */
export async function searchLogs(
  context: FleetContext,
  args: ArgsOf<'search_logs'>,
  { signal }: Caller,
): Promise<SearchResult> {
  const { server_ids, labels, since, until, cursor, limit } = args;
  const after = cursor === undefined ? undefined : positionOf(cursor);
  const agentIds = await chosenAgents(context, { server_ids, labels });
  const search = new LogSearch(context.db.logs, {
    ...args,
    agentIds,
    ...timeRangeOf({ since, until }),
    after,
  });
  const page = new Page(limit);
  const hasEnded = await context.searchTurns.take(() => fill(page, search, signal), signal);
  const result = page.result(hasEnded && search.isDone ? undefined : search.reached);
  const notes: string[] = [];
  if (!hasEnded) notes.push(OUT_OF_TIME);
  else if (page.count === 0 && cursor === undefined) notes.push(NOTHING_FOUND);
  if (search.lost.size > 0) notes.push(lostNote(search.lost));
  return notes.length === 0 ? result : { ...result, note: notes.join(' ') };
}

/** False when its time is over before it has found enough or come to the end. */
async function fill(page: Page, search: LogSearch, signal?: AbortSignal): Promise<boolean> {
  const deadline = performance.now() + LOG_SEARCH_MAX_MS;
  while (!page.isFull && !search.isDone) {
    if (signal?.aborted === true) throw searchCancelled();
    if (performance.now() > deadline) return false;
    page.add(await search.step());
    // Everything else of this process has its turn between two steps.
    await nextTurn();
  }
  return true;
}

const OUT_OF_TIME = `Searched for ${LOG_SEARCH_MAX_MS / 1_000} s: pass next_cursor to search on, or name server_ids, since or until.`;
const NOTHING_FOUND = `Nothing found. Logs are collected only where configure_agents has switched log_collection on, from then on, and of at most ${LOG_CONTAINERS_MAX_COUNT} containers a server.`;

function lostNote(lost: ReadonlyMap<string, number>): string {
  const of = Array.from(lost, ([name, count]) => (count === 1 ? name : `${name} (${count} times)`));
  return `Lines are missing in what was searched, of ${of.join(', ')}: the engine had removed them before they were read. Lines with "lost" say where; without "text" they are among the others.`;
}

/** The first lines that were found. */
class Page {
  readonly #limit: number;
  readonly #lines: FoundLine[] = [];
  readonly #text = new TextPage();
  #isFull = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get isFull(): boolean {
    return this.#isFull;
  }

  get count(): number {
    return this.#lines.length;
  }

  add(found: readonly FoundLine[]): void {
    for (const line of found) {
      if (this.#lines.length >= this.#limit || !this.#text.fits(shown(line))) {
        this.#isFull = true;
        return;
      }
      this.#lines.push(line);
    }
  }

  /** `reached`: how far the search has come, if it has not come to its end. */
  result(reached: LinePosition | undefined): SearchResult {
    const next = this.#isFull ? this.#lines.at(-1)?.position : reached;
    return {
      lines: this.#lines.map(shown),
      ...(next === undefined ? {} : { next_cursor: cursorOf([next.at, next.batch, next.index]) }),
    };
  }
}

function shown({
  serverId,
  container,
  stream,
  at,
  text,
  isCut,
  isLost,
}: FoundLine): SearchResult['lines'][number] {
  return {
    server_id: serverId,
    container,
    stream,
    at: isoTime(at),
    text,
    ...(isCut ? { cut: true as const } : {}),
    ...(isLost ? { lost: true as const } : {}),
  };
}

async function chosenAgents(
  { db }: FleetContext,
  selection: Pick<ArgsOf<'search_logs'>, 'server_ids' | 'labels'>,
): Promise<string[] | undefined> {
  if (selection.server_ids === undefined && selection.labels === undefined) return undefined;
  return (await namedAgents(db, selection)).map(({ id }) => id);
}

const placeSchema = z.tuple([z.int(), z.int(), z.int()]);

function positionOf(cursor: string): LinePosition {
  const [at, batch, index] = placeOf(cursor, placeSchema, 'search_logs');
  return { at, batch, index };
}
