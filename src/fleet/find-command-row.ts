import { TomoError } from '../../protocol/errors.ts';
import type { CommandRow } from '../db/command-repository.ts';
import { accessOf, mayRead } from './command-access.ts';
import type { Caller } from './fleet.ts';
import type { FleetContext } from './fleet-context.ts';

/**
 * The row of a command that this caller could have run, with an end that is not written yet. Throws
 * INVALID_PARAMS and ACCESS_DENIED with what to do about it.
 */
export async function findCommandRow(
  { db, audit, runs }: FleetContext,
  id: string,
  { access }: Caller,
): Promise<CommandRow> {
  // Before the row is read: who is told that it runs finds its result later.
  runs.get(id)?.keepResult();
  const row = await db.commands.find(id);
  if (row === undefined) {
    throw new TomoError(
      'INVALID_PARAMS',
      `There is no command ${JSON.stringify(id)}. get_command_history shows the ids of those there were.`,
      { facts: { command_id: id } },
    );
  }
  if (!mayRead(row, access)) {
    const needed = accessOf(row);
    throw new TomoError(
      'ACCESS_DENIED',
      `That command ran ${row.method}, which needs access "${needed}", and you have "${access}". get_command_history shows how it ended.`,
      { facts: { command_id: id, needed, granted: access } },
    );
  }
  return row.status === 'running' ? audit.ended(row) : row;
}
