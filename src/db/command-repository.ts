import { and, desc, eq, gte, inArray, lt, type SQL, sql } from 'drizzle-orm';
import type { CommandResults } from './command-results.ts';
import {
  durationUntil,
  endColumns,
  faultColumns,
  prepareBegin,
  prepareDetach,
  prepareFinish,
} from './command-statements.ts';
import type { Connection } from './connection.ts';
import { isAfter } from './page-position.ts';
import { agents, commands } from './schema.ts';

/** One command in the audit. `params` are as the caller redacted them. */
export type CommandRow = typeof commands.$inferSelect;
export type CommandStatus = CommandRow['status'];

export type CommandBeginning = Pick<
  CommandRow,
  | 'id'
  | 'serverId'
  | 'agentId'
  | 'actor'
  | 'origin'
  | 'instanceId'
  | 'method'
  | 'params'
  | 'startedAt'
>;

export interface CommandEnd {
  status: CommandStatus;
  errorCode?: number | undefined;
  errorMessage?: string | undefined;
  durationMs: number;
  /** Of the result as JSON, if there was one. */
  resultBytes?: number | undefined;
  /** The result as it is shown, if it is to be kept. */
  result?: string | undefined;
}

/** Why commands end, or go on without their caller: an error of the table. */
export interface CommandFault {
  readonly code: number;
  readonly message: string;
}

export interface CommandFilter {
  readonly serverIds?: readonly string[] | undefined;
  readonly actor?: string | undefined;
  readonly method?: string | undefined;
  readonly status?: CommandStatus | undefined;
  /** Started then or later. */
  readonly since?: number | undefined;
  /** Started before. */
  readonly until?: number | undefined;
  /** The last command of the page before. */
  readonly after?: Pick<CommandRow, 'startedAt' | 'id'> | undefined;
  readonly limit: number;
}

/**
 * The audit of all commands: who, what, how it ended. A row ends once, from `running` or, when its
 * agent went before it answered, from `detached`. Methods throw DatabaseError.
 */
export class CommandRepository {
  readonly #connection: Connection;
  readonly #results: CommandResults;
  readonly #begin: ReturnType<typeof prepareBegin>;
  readonly #finish: ReturnType<typeof prepareFinish>;
  readonly #detach: ReturnType<typeof prepareDetach>;

  constructor(connection: Connection, results: CommandResults) {
    this.#connection = connection;
    this.#results = results;
    this.#begin = prepareBegin(connection);
    this.#finish = prepareFinish(connection);
    this.#detach = prepareDetach(connection);
  }

  /** Records a command as running. */
  async begin(command: CommandBeginning): Promise<void> {
    await this.#connection.run(() => this.#begin.run({ ...command }));
  }

  /** Records several at once, or none. */
  async beginAll(list: readonly CommandBeginning[]): Promise<void> {
    await this.#connection.transaction(() => {
      for (const command of list) this.#begin.run({ ...command });
    });
  }

  /** Records how a running command ended; one that has ended or is detached stays as it is. */
  async finish(id: string, end: CommandEnd): Promise<void> {
    await this.#end(id, 'running', end);
  }

  /** Of those that run: they go on without a caller, their duration being the time until then. */
  async detach(ids: readonly string[], fault: CommandFault, now: number): Promise<void> {
    await this.#connection.transaction(() => {
      for (const id of ids) this.#detach.run({ id, now, ...faultColumns(fault) });
    });
  }

  /**
   * For the start of the program: what an earlier process left running is detached if its agent may
   * keep the answer, and lost if not. Answers how many there were.
   */
  async endRun(now: number): Promise<number> {
    const mayAnswer = sql`exists (select 1 from ${agents} where ${agents.id} = ${commands.agentId}
      and ${agents.protocol} is not null and ${agents.status} <> 'revoked')`;
    return this.#connection.run(
      () =>
        this.#connection.orm
          .update(commands)
          .set({
            status: sql`case when ${mayAnswer} then 'detached' else 'lost' end`,
            durationMs: durationUntil(now),
          })
          .where(eq(commands.status, 'running'))
          .run().changes,
    );
  }

  /** The agents of all detached commands. */
  async agentsWithDetached(): Promise<string[]> {
    return this.#connection.run(() =>
      this.#connection.orm
        .selectDistinct({ agentId: commands.agentId })
        .from(commands)
        .where(eq(commands.status, 'detached'))
        .all()
        .map(({ agentId }) => agentId),
    );
  }

  /** An agent's detached commands. */
  async detachedOf(agentId: string): Promise<Pick<CommandRow, 'id' | 'instanceId'>[]> {
    return this.#connection.run(() =>
      this.#connection.orm
        .select({ id: commands.id, instanceId: commands.instanceId })
        .from(commands)
        .where(and(eq(commands.status, 'detached'), eq(commands.agentId, agentId)))
        .all(),
    );
  }

  /** A detached command of that very agent. */
  async findDetached(
    id: string,
    agentId: string,
  ): Promise<Pick<CommandRow, 'method' | 'startedAt'> | undefined> {
    return this.#connection.run(() =>
      this.#connection.orm
        .select({ method: commands.method, startedAt: commands.startedAt })
        .from(commands)
        .where(
          and(eq(commands.id, id), eq(commands.agentId, agentId), eq(commands.status, 'detached')),
        )
        .get(),
    );
  }

  /** Records how a detached command ended. False if it is not detached any more. */
  async finishDetached(id: string, end: CommandEnd): Promise<boolean> {
    return this.#end(id, 'detached', end);
  }

  /** Gives detached commands up that will not be answered any more; durations stay. */
  async giveUp(
    ids: readonly string[],
    status: 'failed' | 'lost',
    fault: CommandFault,
  ): Promise<void> {
    await this.#connection.transaction(() => {
      for (const id of ids) {
        this.#connection.orm
          .update(commands)
          .set({ status, ...faultColumns(fault) })
          .where(and(eq(commands.id, id), eq(commands.status, 'detached')))
          .run();
      }
    });
  }

  /** Gives up what was detached before a time. Answers how many. */
  async loseDetachedBefore(time: number, fault: CommandFault): Promise<number> {
    const detachedAt = sql`${commands.startedAt} + ifnull(${commands.durationMs}, 0)`;
    return this.#connection.run(
      () =>
        this.#connection.orm
          .update(commands)
          .set({ status: 'lost', ...faultColumns(fault) })
          .where(and(eq(commands.status, 'detached'), sql`${detachedAt} < ${time}`))
          .run().changes,
    );
  }

  /** Gives up what still runs though it was begun before a time. Answers how many. */
  async loseRunningBefore(time: number, fault: CommandFault): Promise<number> {
    return this.#connection.run(
      () =>
        this.#connection.orm
          .update(commands)
          .set({ status: 'lost', ...faultColumns(fault) })
          .where(and(eq(commands.status, 'running'), lt(commands.startedAt, time)))
          .run().changes,
    );
  }

  async find(id: string): Promise<CommandRow | undefined> {
    return this.#connection.run(() =>
      this.#connection.orm.select().from(commands).where(eq(commands.id, id)).get(),
    );
  }

  /** Commands, the newest first; of those begun in the same millisecond in the order of their ids. */
  async recent(filter: CommandFilter): Promise<CommandRow[]> {
    return this.#connection.run(() =>
      this.#connection.orm
        .select()
        .from(commands)
        .where(and(...conditions(filter)))
        .orderBy(desc(commands.startedAt), desc(commands.id))
        .limit(filter.limit)
        .all(),
    );
  }

  /** Forgets the commands that were started before a time. Answers how many. */
  async deleteBefore(time: number): Promise<number> {
    return this.#connection.run(
      () => this.#connection.orm.delete(commands).where(lt(commands.startedAt, time)).run().changes,
    );
  }

  async #end(id: string, from: 'running' | 'detached', end: CommandEnd): Promise<boolean> {
    const update = () => this.#finish.get({ id, from, ...endColumns(end) });
    const { result: text } = end;
    if (text === undefined) return this.#connection.run(() => update() !== undefined);
    try {
      return await this.#connection.transaction(() => {
        const owner = update();
        if (owner === undefined) return false;
        this.#results.put({ commandId: id, ...owner, text, keptAt: Date.now() });
        return true;
      });
    } catch (error) {
      this.#results.undone();
      throw error;
    }
  }
}

function conditions(filter: CommandFilter): (SQL | undefined)[] {
  const { serverIds, actor, method, status, since, until, after } = filter;
  return [
    serverIds === undefined ? undefined : inArray(commands.serverId, [...serverIds]),
    actor === undefined ? undefined : eq(commands.actor, actor),
    method === undefined ? undefined : eq(commands.method, method),
    status === undefined ? undefined : eq(commands.status, status),
    since === undefined ? undefined : gte(commands.startedAt, since),
    until === undefined ? undefined : lt(commands.startedAt, until),
    after === undefined
      ? undefined
      : isAfter({ at: commands.startedAt, id: commands.id }, { at: after.startedAt, id: after.id }),
  ];
}
