import { z } from 'zod';
import { errorName } from '../../protocol/errors.ts';
import type { CommandRow } from '../db/command-repository.ts';
import { FLEET } from './audit-params.ts';
import { mayRead } from './command-access.ts';
import type { Caller } from './fleet.ts';
import { type FleetContext, isoTime } from './fleet-context.ts';
import type { ArgsOf, OperationResult } from './operations.ts';
import { cursorOf, placeOf } from './page-cursor.ts';
import { beginning, fitting } from './text-page.ts';
import { timeRangeOf } from './time-range.ts';

/** Of one command's params as JSON. */
const PARAMS_MAX_CHARS = 30_000;

type HistoryResult = OperationResult<'get_command_history'>;

/** Who ran what and how it ended, the newest first, a page at a time. Throws INVALID_PARAMS. */
export async function commandHistory(
  context: FleetContext,
  args: ArgsOf<'get_command_history'>,
  { access }: Caller,
): Promise<HistoryResult> {
  const { server_id, actor, method, status, since, until, cursor, limit } = args;
  const rows = await context.db.commands.recent({
    // What was done to all of them was done to this one.
    serverIds: server_id === undefined ? undefined : [server_id, FLEET],
    actor,
    method,
    status,
    ...timeRangeOf({ since, until }),
    after: cursor === undefined ? undefined : positionOf(cursor),
    limit: limit + 1,
  });
  const page = fitting(rows.slice(0, limit).map((row) => shown(row, access)));
  const last = rows.length > page.length ? rows[page.length - 1] : undefined;
  return {
    commands: [...page],
    ...(last === undefined ? {} : { next_cursor: cursorOf([last.startedAt, last.id]) }),
  };
}

function shown(row: CommandRow, access: Caller['access']): HistoryResult['commands'][number] {
  const { errorCode: code, errorMessage } = row;
  const isReadable = mayRead(row, access);
  return {
    command_id: row.id,
    server_id: row.serverId,
    actor: row.actor,
    origin: row.origin,
    method: row.method,
    ...paramsField(isReadable ? row.params : withoutValues(row.params)),
    status: row.status,
    ...(code === null
      ? {}
      : { error: { code, message: (isReadable ? errorMessage : undefined) ?? errorName(code) } }),
    started_at: isoTime(row.startedAt),
    duration_ms: row.durationMs,
    result_bytes: row.resultBytes,
  };
}

function paramsField(params: CommandRow['params']) {
  const text = beginning(params, PARAMS_MAX_CHARS);
  return text === undefined ? { params } : { params: {}, params_text: text, truncated: true };
}

function withoutValues(params: CommandRow['params']): CommandRow['params'] {
  return Object.fromEntries(Object.keys(params).map((name) => [name, '***']));
}

const placeSchema = z.tuple([z.int(), z.string()]);

function positionOf(cursor: string): Pick<CommandRow, 'startedAt' | 'id'> {
  const [startedAt, id] = placeOf(cursor, placeSchema, 'get_command_history');
  return { startedAt, id };
}
