import { randomUUID } from 'node:crypto';
import { findCommand } from '../../protocol/commands/catalogue.ts';
import { type TomoError, toTomoError } from '../../protocol/errors.ts';
import type { AgentRow } from '../db/agent-row.ts';
import type { Caller } from './fleet.ts';
import { agentOf, type FleetContext } from './fleet-context.ts';
import { notConnected } from './not-connected.ts';
import type { ArgsOf, OperationResult } from './operations.ts';

type CommandResult = OperationResult<'send_agent_command'>;

/**
 * Runs one method on one agent and answers how it ended. Throws only UNKNOWN_SERVER: whatever goes
 * wrong with the command itself is in the answer, beside the id of its row in the audit.
 */
export async function sendCommand(
  context: FleetContext,
  args: ArgsOf<'send_agent_command'>,
  caller: Caller,
): Promise<CommandResult> {
  const agent = await agentOf(context, args.server_id);
  const id = randomUUID();
  const startedAt = Date.now();
  const started = performance.now();
  await context.audit.begin({
    id,
    serverId: agent.serverId,
    agentId: agent.id,
    actor: caller.actor,
    method: args.method,
    params: auditParams(args.method, args.params),
    startedAt,
  });
  const ended = await outcome(context, agent, id, args, caller);
  const durationMs = performance.now() - started;
  await context.audit.finish(id, {
    status: ended.status,
    ...(ended.error === undefined
      ? {}
      : { errorCode: ended.error.code, errorMessage: ended.error.message }),
    durationMs: Math.round(durationMs),
  });
  return { command_id: id, ...ended, duration_ms: Math.round(durationMs * 100) / 100 };
}

async function outcome(
  context: FleetContext,
  agent: AgentRow,
  id: string,
  args: ArgsOf<'send_agent_command'>,
  caller: Caller,
): Promise<Omit<CommandResult, 'command_id' | 'duration_ms'>> {
  try {
    const result = await context.hub.call(agent.id, {
      id,
      method: args.method,
      params: args.params,
      access: caller.access,
      ...(args.timeout_seconds === undefined ? {} : { timeoutMs: args.timeout_seconds * 1_000 }),
      ...(caller.signal === undefined ? {} : { signal: caller.signal }),
    });
    return { status: stoppedItself(result) ? 'timed_out' : 'succeeded', result };
  } catch (cause) {
    const error = explain(context, agent, cause);
    const { code, name, message } = error;
    return { status: statusOf(error), error: { code, name, message } };
  }
}

function explain(context: FleetContext, agent: AgentRow, cause: unknown): TomoError {
  const error = toTomoError(cause);
  if (error.name === 'AGENT_NOT_CONNECTED') return notConnected(context, agent);
  if (error.name === 'INTERNAL_ERROR') context.log.error({ err: cause }, 'command failed');
  return error;
}

function statusOf(error: TomoError): CommandResult['status'] {
  if (error.name === 'COMMAND_TIMED_OUT') return 'timed_out';
  return error.name === 'COMMAND_CANCELLED' ? 'cancelled' : 'failed';
}

/** A command that its own time limit ended answers with what it printed until then. */
function stoppedItself(result: unknown): boolean {
  return (
    typeof result === 'object' &&
    result !== null &&
    'timed_out' in result &&
    result.timed_out === true
  );
}

/** Params for the audit: secrets blanked; nothing of what the method does not take, which may be secret too. */
function auditParams(method: string, params: Record<string, unknown>): Record<string, unknown> {
  const entry = findCommand(method);
  if (entry?.params.safeParse(params).success !== true) return {};
  return Object.fromEntries(
    Object.entries(params).map(([name, value]) => [
      name,
      entry.secrets.includes(name) ? blanked(value) : value,
    ]),
  );
}

function blanked(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return '***';
  return Object.fromEntries(Object.keys(value).map((key) => [key, '***']));
}
