import { TomoError } from '../../protocol/errors.ts';
import type { CommandRow } from '../db/command-repository.ts';
import { isOver, rowAnswer } from './command-answer.ts';
import type { CommandAnswer } from './command-schema.ts';
import { findCommandRow } from './find-command-row.ts';
import type { Caller } from './fleet.ts';
import type { FleetContext } from './fleet-context.ts';
import { endOf } from './get-command.ts';
import type { ArgsOf } from './operations.ts';
import { WaitLimit } from './wait-limit.ts';

/**
 * Has the agent stop a command, whoever began it, and answers how it ended; for one that has ended
 * already just that. Throws as getCommand, and INVALID_PARAMS for what is no command of an agent.
 */
export async function cancelCommand(
  context: FleetContext,
  { command_id: id, wait_seconds }: ArgsOf<'cancel_command'>,
  caller: Caller,
): Promise<CommandAnswer> {
  const row = await findCommandRow(context, id, caller);
  if (isOver(row)) {
    const answer = await rowAnswer(context, row, {});
    const note = ['It had ended before it was cancelled.', answer.note].join(' ').trim();
    return { ...answer, note };
  }
  if (row.agentId === '') throw notOfAgents(row);
  const unfinished = tell(context, row);
  using limit = new WaitLimit(wait_seconds * 1_000, caller.signal);
  const ending = await endOf(context, row, limit.signal);
  const later = await findCommandRow(context, id, caller);
  const answer = await rowAnswer(context, later, {}, ending);
  return isOver(later) ? answer : { ...answer, note: unfinished };
}

/** What to say if it does not end soon. */
function tell({ hub, runs, laterCancels }: FleetContext, row: CommandRow): string {
  const { id, agentId, serverId } = row;
  const waitOn = 'get_command with wait_seconds waits for its end.';
  if (hub.cancel(agentId, id)) {
    return `${serverId} was told to stop it and has not said how it ended. ${waitOn}`;
  }
  const run = runs.get(id);
  if (run !== undefined) {
    run.giveUp();
    return `It is given up. ${waitOn}`;
  }
  return laterCancels.add(hub, agentId, id)
    ? `The agent of ${serverId} is away, and the command may go on there: it is told to stop when it is back, unless Tomo is restarted before. ${waitOn}`
    : `Not cancelled: the agent of ${serverId} is away, and too many commands wait to be stopped already. Cancel it again when get_agent_status shows the agent.`;
}

function notOfAgents({ id, method }: CommandRow): TomoError {
  return new TomoError(
    'INVALID_PARAMS',
    `${method} is a tool of Tomo that is under way, not a command of an agent: whoever called it can cancel it there.`,
    { facts: { command_id: id } },
  );
}
