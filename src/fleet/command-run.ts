import { randomUUID } from 'node:crypto';
import { findCommand } from '../../protocol/commands/catalogue.ts';
import type { CommandEntry } from '../../protocol/commands/define-command.ts';
import { TomoError, toTomoError } from '../../protocol/errors.ts';
import { statusOfError, statusOfResult } from '../agent-hub/command-outcome.ts';
import { shownResult } from '../agent-hub/result-text.ts';
import type { AgentRow } from '../db/agent-row.ts';
import { auditParams } from './audit-params.ts';
import type { CommandAnswer } from './command-schema.ts';
import type { Caller } from './fleet.ts';
import { agentOf, type FleetContext } from './fleet-context.ts';
import { notConnected } from './not-connected.ts';
import type { ArgsOf } from './operations.ts';
import { ResultTaking } from './result-taking.ts';
import { RESULT_TEXT_MAX_CHARS } from './text-limit.ts';
import { unlessAborted } from './wait-limit.ts';

export type Command = Omit<ArgsOf<'send_agent_command'>, 'wait_seconds'>;

type ShownError = NonNullable<CommandAnswer['error']>;

/** How a command ended, or that its agent went meanwhile. */
export interface CommandEnding {
  readonly status: CommandAnswer['status'];
  readonly result?: unknown;
  /** The result as it is shown where it is text. */
  readonly text?: string;
  readonly error?: ShownError;
  readonly durationMs: number;
}

type Wait = (signal: AbortSignal) => Promise<CommandEnding | undefined>;

/** A command under way in this process. It goes on whether anybody waits for it or not. */
export interface CommandRun {
  readonly id: string;
  /** Of its caller. */
  readonly tokenHash: string | undefined;
  /** Milliseconds since it was begun. */
  readonly durationMs: () => number;
  /** Its end, which is in its row then; undefined if `signal` aborts before. */
  readonly wait: Wait;
  /**
   * The same for who began it, who waits in a way of its own: a result that comes meanwhile is taken,
   * and need not be kept.
   */
  readonly take: (
    waiting: (wait: Wait) => Promise<CommandEnding | undefined>,
  ) => Promise<CommandEnding | undefined>;
  /** Somebody else is about to be told how it stands: its result is kept, whoever takes it. */
  readonly keepResult: () => void;
  /** Gives it up: the agent is told to stop, if it can be told, and the row says so. */
  readonly giveUp: () => void;
}

interface Running {
  readonly context: FleetContext;
  readonly agent: AgentRow;
  readonly id: string;
  readonly command: Command;
  readonly caller: Caller;
  readonly signal: AbortSignal;
  readonly durationMs: () => number;
  readonly taking: ResultTaking;
}

/**
 * Begins one method on one agent. Throws UNKNOWN_SERVER, LIMIT_REACHED for an actor that has too many
 * under way, and DatabaseError if it cannot be recorded: whatever goes wrong with the command itself is in how it ends.
 */
export async function beginCommand(
  context: FleetContext,
  command: Command,
  caller: Caller,
): Promise<CommandRun> {
  const agent = await agentOf(context, command.server_id);
  const id = randomUUID();
  const started = performance.now();
  const leave = context.runRoom.take(caller.actor, agent);
  try {
    await recordBegun(context, { id, agent, command, caller });
  } catch (error) {
    leave();
    throw error;
  }
  const stop = new AbortController();
  // Whoever gave up before it was sent is the only one who knows of it.
  if (caller.signal?.aborted === true) stop.abort();
  const taking = new ResultTaking();
  const durationMs = (): number => performance.now() - started;
  const { signal } = stop;
  const ended = carryOut({ context, agent, id, command, caller, signal, durationMs, taking });
  const wait: Wait = (limit) => unlessAborted(ended, limit);
  const run: CommandRun = {
    id,
    tokenHash: caller.tokenHash,
    durationMs,
    wait,
    take: (waiting) => taking.through(waiting(wait), ended),
    keepResult: () => taking.keep(),
    giveUp: () => stop.abort(),
  };
  context.runs.set(id, run);
  void ended.finally(() => {
    leave();
    context.runs.delete(id);
  });
  return run;
}

async function recordBegun(
  { audit, hub }: FleetContext,
  { id, agent, command, caller }: Pick<Running, 'id' | 'agent' | 'command' | 'caller'>,
): Promise<void> {
  await audit.begin({
    id,
    serverId: agent.serverId,
    agentId: agent.id,
    actor: caller.actor,
    origin: caller.origin ?? null,
    instanceId: hub.connected(agent.id)?.hello.instance_id ?? null,
    method: command.method,
    params: auditParams(command.method, command.params),
    startedAt: Date.now(),
  });
}

/** Never rejects. */
async function carryOut(running: Running): Promise<CommandEnding> {
  const { context, agent, id, command, durationMs } = running;
  const { resultBytes, keepable, ...outcome } = await outcomeOf(running);
  const ms = durationMs();
  // The hub has recorded a detached one, and records how it ends.
  if (outcome.status !== 'detached') {
    const end = {
      status: outcome.status,
      errorCode: outcome.error?.code,
      errorMessage: outcome.error && auditMessage(command.method, outcome.error),
      durationMs: Math.round(ms),
      resultBytes,
      // Settled and written in one go: nobody sees the row in between.
      result: isTakenWhole(running, outcome) ? undefined : keepable,
    };
    await context.audit.finish(id, end, () => context.hub.written(agent.id, id));
  }
  return { ...outcome, durationMs: Math.round(ms * 100) / 100 };
}

interface Outcome extends Omit<CommandEnding, 'durationMs'> {
  readonly resultBytes?: number;
  /** Of the result, if it may be kept. */
  readonly keepable?: string | undefined;
}

/** What only read can be read again. */
function isTakenWhole({ command, taking }: Running, { text }: Outcome): boolean {
  const isShort = text !== undefined && text.length <= RESULT_TEXT_MAX_CHARS;
  return isShort && findCommand(command.method)?.access === 'read' && taking.settle();
}

async function outcomeOf(running: Running): Promise<Outcome> {
  const { context, agent, id, caller, signal } = running;
  const { method, params, timeout_seconds } = running.command;
  const entry = findCommand(method);
  try {
    if (entry?.hubOnly === true) throw hubOnly(method, entry);
    const { result: answered, bytes } = await context.hub.answer(agent.id, {
      id,
      method,
      params,
      access: caller.access,
      hasRow: true,
      ...(timeout_seconds === undefined ? {} : { timeoutMs: timeout_seconds * 1_000 }),
      signal,
    });
    const shown = shownResult({ method, params }, answered);
    return { status: statusOfResult(answered), ...shown, resultBytes: bytes };
  } catch (cause) {
    const error = explain(context, agent, cause);
    const { code, name, message } = error;
    const isDetached = error.facts['detached'] === true;
    return {
      status: isDetached ? 'detached' : statusOfError(error),
      error: { code, name, message },
    };
  }
}

function explain(context: FleetContext, agent: AgentRow, cause: unknown): TomoError {
  const error = toTomoError(cause);
  if (error.name === 'AGENT_NOT_CONNECTED') return notConnected(context, agent);
  if (error.name === 'INTERNAL_ERROR') context.log.error({ err: cause }, 'command failed');
  return error;
}

function hubOnly(method: string, { summary }: CommandEntry): TomoError {
  // The summary ends with the tool to call.
  const instead = summary.slice(summary.lastIndexOf('call '));
  return new TomoError('ACCESS_DENIED', `${method} is sent by Tomo itself only: ${instead}`, {
    facts: { method },
  });
}

/** What was wrong with params may quote a secret among them. */
function auditMessage(method: string, { name, message }: ShownError): string {
  return name === 'INVALID_PARAMS' ? `Params of ${method} are not valid.` : message;
}
