import { endedAnswer, isLossless, outputPage, runningAnswer } from './command-answer.ts';
import { beginCommand, type Command, type CommandEnding, type CommandRun } from './command-run.ts';
import type { CommandAnswer } from './command-schema.ts';
import { type Caller, CallerGone } from './fleet.ts';
import type { FleetContext } from './fleet-context.ts';
import type { ArgsOf } from './operations.ts';
import { waitForCommand } from './wait-for-command.ts';

/**
 * Runs one method on one agent and answers how it ended or, if that takes longer than the caller
 * waits, that it runs. Throws what beginCommand does: whatever goes wrong with the command itself is in
 * the answer.
 */
export async function sendCommand(
  context: FleetContext,
  { wait_seconds, ...command }: ArgsOf<'send_agent_command'>,
  caller: Caller,
): Promise<CommandAnswer> {
  const run = await beginCommand(context, command, caller);
  const { id } = run;
  const { method } = command;
  const ending = await run.take((end) =>
    waitForCommand(context, id, {
      ms: wait_seconds * 1_000,
      caller,
      end,
      // More than one answer shows: until it is read the command does not go on.
      isEnough: isLossless(method) ? () => outputPage(context, id)?.has_more === true : undefined,
    }),
  );
  const last = ending ?? (await endIfCancelled(run, caller));
  if (last !== undefined) return endedAnswer(context, { id, method }, last);
  return runningAnswer(context, { id, status: 'running' }, run.durationMs());
}

/** How a command ended; undefined if its caller was gone before. */
export interface WholeRun {
  readonly id: string;
  readonly ending: CommandEnding | undefined;
}

/**
 * Runs one method on one agent until it has ended. Throws as sendCommand. The result is kept, whatever
 * the method: the caller may not be shown the whole of it.
 */
export async function runCommand(
  context: FleetContext,
  command: Command,
  caller: Caller,
): Promise<WholeRun> {
  const run = await beginCommand(context, command, caller);
  const { signal = new AbortController().signal } = caller;
  const ending = (await run.wait(signal)) ?? (await endIfCancelled(run, caller));
  return { id: run.id, ending };
}

/** Stops the command of a caller that cancelled. Of one that is gone it goes on. */
async function endIfCancelled(run: CommandRun, caller: Caller): Promise<CommandEnding | undefined> {
  if (caller.signal?.aborted !== true || CallerGone.is(caller)) return undefined;
  run.giveUp();
  return run.wait(new AbortController().signal);
}
