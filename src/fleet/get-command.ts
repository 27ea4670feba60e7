import type { CommandRow } from '../db/command-repository.ts';
import { isLossless, isOver, outputPage, refusePastTheEnd, rowAnswer } from './command-answer.ts';
import type { CommandEnding } from './command-run.ts';
import type { CommandAnswer } from './command-schema.ts';
import { findCommandRow } from './find-command-row.ts';
import type { Caller } from './fleet.ts';
import type { FleetContext } from './fleet-context.ts';
import type { ArgsOf } from './operations.ts';
import { waitForCommand } from './wait-for-command.ts';

/**
 * How a command stands, whoever began it: its output so far, or its result. Throws INVALID_PARAMS for
 * one that there is not and for positions past the end, ACCESS_DENIED for one the caller could not run.
 */
export async function getCommand(
  context: FleetContext,
  args: ArgsOf<'get_command'>,
  caller: Caller,
): Promise<CommandAnswer> {
  const { command_id: id, wait_seconds, offset, result_offset: resultOffset } = args;
  const row = await findCommandRow(context, id, caller);
  if (offset !== undefined) refusePastTheEnd(context, id, offset);
  const reading = { offset, resultOffset };
  if (wait_seconds === 0 || isOver(row)) return rowAnswer(context, row, reading);
  const ending = await waitForCommand(context, id, {
    ms: wait_seconds * 1_000,
    caller,
    end: (signal) => endOf(context, row, signal),
    isEnough: newsOf(context, row, offset),
  });
  return rowAnswer(context, await findCommandRow(context, id, caller), reading, ending);
}

/**
 * Resolves when the row says how the command ended, or at the latest when `signal` aborts; with the end
 * itself if that came in this process.
 */
export async function endOf(
  { hub, runs }: FleetContext,
  { id }: Pick<CommandRow, 'id'>,
  signal: AbortSignal,
): Promise<CommandEnding | undefined> {
  const run = runs.get(id);
  if (run !== undefined) return run.wait(signal);
  // What a database that refuses is about, whoever reads the row next is told.
  await hub.waitForEnd(id, signal).catch(() => undefined);
  return undefined;
}

/** Output that the caller waits for, or that has to be taken before more comes. */
function newsOf(
  context: FleetContext,
  { id, method }: CommandRow,
  offset: number | undefined,
): (() => boolean) | undefined {
  if (offset !== undefined) return () => (outputPage(context, id, offset)?.parts.length ?? 0) > 0;
  if (!isLossless(method)) return undefined;
  return () => outputPage(context, id)?.has_more === true;
}
