import { randomUUID } from 'node:crypto';
import { findCommand } from '../../protocol/commands/catalogue.ts';
import type { CommandEntry } from '../../protocol/commands/define-command.ts';
import { redactEnvironment } from '../../protocol/commands/redact-environment.ts';
import { TomoError, toTomoError } from '../../protocol/errors.ts';
import { statusOfError, statusOfResult } from '../agent-hub/command-outcome.ts';
import type { AgentRow } from '../db/agent-row.ts';
import { auditParams } from './audit-params.ts';
import type { Caller } from './fleet.ts';
import { agentOf, type FleetContext } from './fleet-context.ts';
import { notConnected } from './not-connected.ts';
import type { ArgsOf, OperationResult } from './operations.ts';

type CommandResult = OperationResult<'send_agent_command'>;

type ShownError = NonNullable<CommandResult['error']>;

interface Outcome {
  readonly status: CommandResult['status'];
  readonly result?: unknown;
  readonly error?: CommandResult['error'];
  readonly resultBytes?: number;
}

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
  const started = performance.now();
  await context.audit.begin({
    id,
    serverId: agent.serverId,
    agentId: agent.id,
    actor: caller.actor,
    origin: caller.origin ?? null,
    instanceId: context.hub.connected(agent.id)?.hello.instance_id ?? null,
    method: args.method,
    params: auditParams(args.method, args.params),
    startedAt: Date.now(),
  });
  const { resultBytes, ...ended } = await outcome(context, agent, id, args, caller);
  const durationMs = performance.now() - started;
  // The hub has recorded a detached one, and records how it ends.
  if (ended.status !== 'detached') {
    const end = {
      status: ended.status,
      errorCode: ended.error?.code,
      errorMessage: ended.error && auditMessage(args.method, ended.error),
      durationMs: Math.round(durationMs),
      resultBytes,
    };
    await context.audit.finish(id, end, () => context.hub.written(agent.id, id));
  }
  return { command_id: id, ...ended, duration_ms: Math.round(durationMs * 100) / 100 };
}

async function outcome(
  context: FleetContext,
  agent: AgentRow,
  id: string,
  { method, params, timeout_seconds }: ArgsOf<'send_agent_command'>,
  { access, signal }: Caller,
): Promise<Outcome> {
  const entry = findCommand(method);
  try {
    if (entry?.hubOnly === true) throw hubOnly(method, entry);
    const { result, bytes } = await context.hub.answer(agent.id, {
      id,
      method,
      params,
      access,
      hasRow: true,
      ...(timeout_seconds === undefined ? {} : { timeoutMs: timeout_seconds * 1_000 }),
      ...(signal === undefined ? {} : { signal }),
    });
    return {
      status: statusOfResult(result),
      result: entry === undefined ? result : redactEnvironment(entry, params, result),
      resultBytes: bytes,
    };
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
