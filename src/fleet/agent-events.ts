import { z } from 'zod';
import type { EventRow } from '../db/event-repository.ts';
import { agentOf, type FleetContext, isoTime } from './fleet-context.ts';
import type { ArgsOf, OperationResult } from './operations.ts';
import { cursorOf, placeOf } from './page-cursor.ts';
import { beginning, fitting } from './text-page.ts';
import { timeRangeOf } from './time-range.ts';

/** Of one detail as JSON; agents write what they like into it. */
const DETAIL_MAX_CHARS = 8_000;

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
  const events = fitting(rows.slice(0, limit).map(shown));
  const last = rows.length > events.length ? rows[events.length - 1] : undefined;
  const isNone = events.length === 0 && cursor === undefined;
  return {
    events: [...events],
    ...(last === undefined ? {} : { next_cursor: cursorOf([last.at, last.id]) }),
    ...(isNone && type !== undefined ? { note: noneOf(type) } : {}),
  };
}

function noneOf(type: string): string {
  const meant = type.startsWith('agent.')
    ? ''
    : ` Those that agents tell of begin with "agent.": "agent.${type}"?`;
  return `There is none of type "${type}".${meant} Without type, all are shown.`;
}

function shown({ id, serverId, type, at, detail }: EventRow): EventsResult['events'][number] {
  const head = { id, server_id: serverId, type, at: isoTime(at) };
  const text = beginning(detail, DETAIL_MAX_CHARS);
  return text === undefined
    ? { ...head, detail }
    : { ...head, detail: null, detail_text: text, truncated: true };
}

const placeSchema = z.tuple([z.int(), z.int()]);

function positionOf(cursor: string): Pick<EventRow, 'at' | 'id'> {
  const [at, id] = placeOf(cursor, placeSchema, 'get_agent_events');
  return { at, id };
}
