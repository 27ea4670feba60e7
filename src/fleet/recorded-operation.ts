import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { grants } from '../../protocol/access.ts';
import { toTomoError } from '../../protocol/errors.ts';
import { statusOfError } from '../agent-hub/command-outcome.ts';
import type { CommandEnd } from '../db/command-repository.ts';
import { boundedParams, FLEET } from './audit-params.ts';
import type { Caller } from './fleet.ts';
import type { FleetContext } from './fleet-context.ts';
import type { OperationName } from './operations.ts';

/** Operations that change the fleet; what is run on agents has rows of its own. */
const RECORDED: ReadonlySet<OperationName> = new Set<OperationName>([
  'install_agent',
  'revoke_agent',
  'uninstall_agent',
  'configure_agents',
  'rotate_agent_token',
]);

/** Whether an operation changes the fleet. */
export function isRecorded(name: OperationName): boolean {
  return RECORDED.has(name);
}

interface Operation {
  readonly name: OperationName;
  readonly args: object;
  readonly caller: Caller;
}

const argsSchema = z.looseObject({
  server_id: z.string().optional(),
  server_ids: z.array(z.string()).optional(),
});

/**
 * Does the work and, if it changes the fleet, keeps a row in the audit for every server it names.
 * Throws DatabaseError before the work if that cannot be recorded, then what the work throws.
 */
export async function recorded<T>(
  context: FleetContext,
  operation: Operation,
  work: () => Promise<T>,
): Promise<T> {
  if (!RECORDED.has(operation.name)) return work();
  const started = performance.now();
  const ids = await begin(context, operation);
  const finish = async (end: Omit<CommandEnd, 'durationMs'>): Promise<void> => {
    const durationMs = Math.round(performance.now() - started);
    for (const id of ids) await context.audit.finish(id, { ...end, durationMs });
  };
  try {
    const result = await work();
    await finish({ status: 'succeeded' });
    return result;
  } catch (cause) {
    const error = toTomoError(cause);
    const { code, message } = error;
    await finish({ status: statusOfError(error), errorCode: code, errorMessage: message });
    throw cause;
  }
}

/** The ids of the operation's rows. */
async function begin(
  context: FleetContext,
  { name, args, caller }: Operation,
): Promise<readonly string[]> {
  const { server_id, server_ids, ...params } = argsSchema.parse(args);
  // Whoever may not change the fleet gets one row: what it asked for could be any amount.
  const isAllowed = grants(caller.access, 'admin');
  const servers = isAllowed ? (server_ids ?? [server_id ?? FLEET]) : [server_id ?? FLEET];
  const kept = isAllowed ? boundedParams(params) : {};
  const rows = [...new Set(servers)].map((serverId) => ({
    id: randomUUID(),
    serverId,
    // The operation's own: no agent ever answers for it.
    agentId: '',
    actor: caller.actor,
    origin: caller.origin ?? null,
    instanceId: null,
    method: name,
    params: kept,
    startedAt: Date.now(),
  }));
  await context.audit.beginAll(rows);
  return rows.map(({ id }) => id);
}
