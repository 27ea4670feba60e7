import { z } from 'zod';
import type { EventRow } from '../db/event-repository.ts';
import { agentOf, type FleetContext, isoTime } from './fleet-context.ts';
import type { ArgsOf, OperationResult } from './operations.ts';
import { cursorOf, placeOf } from './page-cursor.ts';
import { timeRangeOf } from './time-range.ts';

/** Of the details of one page as JSON; agents write what they like into them. */
const DETAILS_MAX_CHARS = 1024 * 1024;

type EventsResult = OperationResult<'get_agent_events'>;

/**
 * What happened to agents and on their servers, the newest first, a page at a time. Throws
 * INVALID_PARAMS and UNKNOWN_SERVER.
 */
export async function agentEvents(
  context: FleetContext,
  { server_id, type, since, until, cursor, limit }: ArgsOf<'get_agent_events'>,
): Promise<EventsResult> {
  const after = cursor === undefined ? undefined : positionOf(cursor);
  const agent = server_id === undefined ? undefined : await agentOf(context, server_id);
  // What just happened is in memory until then.
  await context.hub.telemetry.flush();
  const rows = await context.db.events.list({
    agentId: agent?.id,
    type,
    ...timeRangeOf({ since, until }),
    after,
    limit: limit + 1,
  });
  const page = fitting(rows.slice(0, limit));
  const last = rows.length > page.length ? page.at(-1) : undefined;
  return {
    events: page.map(shown),
    ...(last === undefined ? {} : { next_cursor: cursorOf([last.at, last.id]) }),
  };
}

/** The first of them, up to the limit on their details, which no single one can reach. */
function fitting(rows: readonly EventRow[]): readonly EventRow[] {
  let chars = 0;
  const end = rows.findIndex(({ detail }) => {
    chars += JSON.stringify(detail).length;
    return chars > DETAILS_MAX_CHARS;
  });
  return end === -1 ? rows : rows.slice(0, end);
}

function shown({ id, serverId, type, at, detail }: EventRow): EventsResult['events'][number] {
  return { id, server_id: serverId, type, at: isoTime(at), detail };
}

const placeSchema = z.tuple([z.int(), z.int()]);

function positionOf(cursor: string): Pick<EventRow, 'at' | 'id'> {
  const [at, id] = placeOf(cursor, placeSchema, 'get_agent_events');
  return { at, id };
}
