import { and, eq, type SQL, sql } from 'drizzle-orm';
import type { CommandEnd, CommandFault } from './command-repository.ts';
import type { Connection } from './connection.ts';
import { commands } from './schema.ts';

/** Statements that are run for every command, prepared once. */
export function prepareBegin({ orm }: Connection) {
  return orm
    .insert(commands)
    .values({
      id: sql.placeholder('id'),
      serverId: sql.placeholder('serverId'),
      agentId: sql.placeholder('agentId'),
      actor: sql.placeholder('actor'),
      origin: sql.placeholder('origin'),
      instanceId: sql.placeholder('instanceId'),
      method: sql.placeholder('method'),
      params: sql.placeholder('params'),
      status: 'running',
      startedAt: sql.placeholder('startedAt'),
    })
    .prepare();
}

export function prepareFinish({ orm }: Connection) {
  return orm
    .update(commands)
    .set({
      status: sql`${sql.placeholder('status')}`,
      errorCode: sql`${sql.placeholder('errorCode')}`,
      errorMessage: sql`${sql.placeholder('errorMessage')}`,
      durationMs: sql`${sql.placeholder('durationMs')}`,
      resultBytes: sql`${sql.placeholder('resultBytes')}`,
      resultKept: sql`${sql.placeholder('resultKept')}`,
    })
    .where(
      and(eq(commands.id, sql.placeholder('id')), eq(commands.status, sql.placeholder('from'))),
    )
    .returning({ actor: commands.actor, agentId: commands.agentId })
    .prepare();
}

export function prepareDetach({ orm }: Connection) {
  return orm
    .update(commands)
    .set({
      status: 'detached',
      errorCode: sql`${sql.placeholder('errorCode')}`,
      errorMessage: sql`${sql.placeholder('errorMessage')}`,
      durationMs: durationUntil(sql.placeholder('now')),
    })
    .where(and(eq(commands.id, sql.placeholder('id')), eq(commands.status, 'running')))
    .prepare();
}

export function endColumns({
  status,
  errorCode,
  errorMessage,
  durationMs,
  resultBytes,
  result,
}: CommandEnd) {
  return {
    status,
    errorCode: errorCode ?? null,
    errorMessage: errorMessage ?? null,
    durationMs,
    resultBytes: resultBytes ?? null,
    resultKept: result === undefined ? 0 : 1,
  };
}

export function faultColumns({ code, message }: CommandFault) {
  return { errorCode: code, errorMessage: message };
}

export function durationUntil(now: unknown): SQL {
  return sql`max(0, ${now} - ${commands.startedAt})`;
}
