import { grants } from '../../protocol/access.ts';
import { requiredAccess } from '../../protocol/commands/required-access.ts';
import { TomoError, toTomoError } from '../../protocol/errors.ts';
import { knownMethod } from '../agent-hub/command-gate.ts';
import { statusOfError } from '../agent-hub/command-outcome.ts';
import { AnswerGroups } from './answer-groups.ts';
import { databaseErrorsExplained } from './database-errors.ts';
import type { Caller } from './fleet.ts';
import type { FleetContext } from './fleet-context.ts';
import { matchingAgents } from './matching-agents.ts';
import type { ArgsOf, OperationResult } from './operations.ts';
import { runCommand } from './send-command.ts';
import { RESULT_TEXT_MAX_CHARS } from './text-limit.ts';

type RunArgs = ArgsOf<'run_on_agents'>;
type RunResult = OperationResult<'run_on_agents'>;
type Failure = RunResult['failures'][number];

/** What the messages and ids of failures may take of the text, so that there is room for results. */
const MESSAGES_MAX_CHARS = RESULT_TEXT_MAX_CHARS / 2;

/**
 * Runs one method on many agents, each command as send_agent_command would, so many at a time. A caller
 * that cancels stops all of them; of one that is gone those that run go on. Throws
 * INVALID_PARAMS for a choice that is not one, METHOD_NOT_FOUND for a method that there is not,
 * ACCESS_DENIED for a caller who may not, and UNKNOWN_SERVER if no agent is chosen; what goes wrong on
 * a server is among the failures.
 */
export async function runOnAgents(
  context: FleetContext,
  args: RunArgs,
  caller: Caller,
): Promise<RunResult> {
  refuseUnclearChoice(args);
  refuseBeyondAccess(args, caller);
  const { known, unknown } = await chosen(context, args);
  const groups = new AnswerGroups();
  const failures = unknown.map((serverId) => failureOf(serverId, noSuchAgent(serverId)));
  const asked = known.length + unknown.length;
  let ended = unknown.length;
  const run = async (serverId: string): Promise<void> => {
    const failure = await runOn(context, serverId, { args, caller, groups });
    if (failure !== undefined) failures.push(failure);
    ended += 1;
    caller.progress?.(`${ended} of ${asked}`, ended / asked);
  };
  await eachAtMost(args.max_concurrency, known, run);
  failures.sort((a, b) => (a.server_id < b.server_id ? -1 : 1));
  const failuresChars = shortenMessages(failures);
  const { succeeded } = groups;
  return {
    groups: groups.within(Math.max(0, RESULT_TEXT_MAX_CHARS - failuresChars)),
    failures,
    counts: { asked, succeeded, failed: asked - succeeded },
  };
}

function refuseUnclearChoice({ server_ids, labels, all }: RunArgs): void {
  const choices = [server_ids, labels, all].filter((choice) => choice !== undefined);
  if (choices.length === 1) return;
  throw new TomoError(
    'INVALID_PARAMS',
    'Choose the servers of run_on_agents in exactly one way: server_ids, labels, or all: true.',
  );
}

/** Once for all servers: refused one by one, what cannot run anywhere would leave a row for each of them. */
function refuseBeyondAccess({ method, params }: RunArgs, { access }: Caller): void {
  const entry = knownMethod(method);
  const needed = requiredAccess(entry, params);
  if (grants(access, needed)) return;
  throw new TomoError(
    'ACCESS_DENIED',
    `${method} needs access "${needed}", and you have "${access}": your token gives no more, or Tomo runs with --read-only. Nothing was run.`,
    { facts: { method, needed, granted: access } },
  );
}

async function chosen(
  { db }: FleetContext,
  { server_ids, labels }: RunArgs,
): Promise<{ known: string[]; unknown: string[] }> {
  const agents = await matchingAgents(db, { server_ids, labels });
  const known = agents.map(({ serverId }) => serverId);
  if (known.length === 0) {
    throw new TomoError(
      'UNKNOWN_SERVER',
      'No agent is installed on any server that was chosen; nothing was run. list_agents shows the servers there are; install_agent adds one.',
      { facts: { server_ids, labels } },
    );
  }
  const found = new Set(known);
  return { known, unknown: [...new Set(server_ids)].filter((serverId) => !found.has(serverId)) };
}

interface Run {
  readonly args: RunArgs;
  readonly caller: Caller;
  readonly groups: AnswerGroups;
}

/** Adds the server's answer to the groups, or answers why there is none. */
async function runOn(
  context: FleetContext,
  serverId: string,
  { args, caller, groups }: Run,
): Promise<Failure | undefined> {
  if (caller.signal?.aborted === true) return failureOf(serverId, notBegun());
  const { method, params, timeout_seconds } = args;
  try {
    const { id, ending } = await databaseErrorsExplained(() =>
      runCommand(context, { server_id: serverId, method, params, timeout_seconds }, caller),
    );
    // Nobody is left to be told.
    if (ending === undefined) return undefined;
    const { status, error, result } = ending;
    if (error !== undefined) return { server_id: serverId, command_id: id, status, error };
    groups.add({ serverId, commandId: id, status }, result);
    return undefined;
  } catch (cause) {
    context.log.warn({ err: cause, server: serverId }, 'command not begun');
    return failureOf(serverId, toTomoError(cause));
  }
}

/** Of a server where nothing was begun. */
function failureOf(server_id: string, error: TomoError): Failure {
  const { code, name, message } = error;
  return {
    server_id,
    command_id: null,
    status: statusOfError(error),
    error: { code, name, message },
  };
}

function noSuchAgent(serverId: string): TomoError {
  return new TomoError(
    'UNKNOWN_SERVER',
    `No agent is installed on a server "${serverId}". list_agents shows the servers there are.`,
  );
}

function notBegun(): TomoError {
  return new TomoError('COMMAND_CANCELLED', 'Cancelled before it was begun; nothing was sent.');
}

/** Does the work for every item, at most `count` at a time. */
async function eachAtMost<T>(
  count: number,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  // All workers take from one iterator.
  const rest = items.values();
  const worker = async (): Promise<void> => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(count, items.length) }, worker));
}

/** Leaves codes and ids alone of failures past the limit. Answers how long ids and messages are together. */
function shortenMessages(failures: readonly Failure[]): number {
  let chars = 0;
  for (const { command_id, error } of failures) {
    chars += command_id?.length ?? 0;
    if (chars + error.message.length > MESSAGES_MAX_CHARS) error.message = '…';
    chars += error.message.length;
  }
  return chars;
}
