import { desc, eq, lt, sql } from 'drizzle-orm';
import type { Connection } from './connection.ts';
import { commands } from './schema.ts';

/** One command in the audit. `params` are as the caller redacted them. */
export type CommandRow = typeof commands.$inferSelect;
export type CommandStatus = CommandRow['status'];

export type CommandBeginning = Pick<
  CommandRow,
  'id' | 'serverId' | 'agentId' | 'actor' | 'method' | 'params' | 'startedAt'
>;

export interface CommandEnd {
  status: CommandStatus;
  errorCode?: number | undefined;
  errorMessage?: string | undefined;
  durationMs: number;
}

/** The audit of all commands: who, what, how it ended. Methods throw DatabaseError. */
export class CommandRepository {
  readonly #connection: Connection;
  readonly #begin: ReturnType<typeof prepareBegin>;
  readonly #finish: ReturnType<typeof prepareFinish>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#begin = prepareBegin(connection);
    this.#finish = prepareFinish(connection);
  }

  /** Records a command as running. */
  async begin(command: CommandBeginning): Promise<void> {
    await this.#connection.run(() => this.#begin.run({ ...command }));
  }

  /** Records how a command ended; one recorded as detached or lost may still end otherwise later. */
  async finish(id: string, end: CommandEnd): Promise<void> {
    const { status, errorCode = null, errorMessage = null, durationMs } = end;
    await this.#connection.run(() =>
      this.#finish.run({ id, status, errorCode, errorMessage, durationMs }),
    );
  }

  /**
   * For the start of the program: what an earlier process left running is lost, its duration being
   * the time until that was noticed. Answers how many.
   */
  async loseRunning(now: number): Promise<number> {
    return this.#connection.run(
      () =>
        this.#connection.orm
          .update(commands)
          .set({ status: 'lost', durationMs: sql`max(0, ${now} - ${commands.startedAt})` })
          .where(eq(commands.status, 'running'))
          .run().changes,
    );
  }

  /** The newest commands first. */
  async recent(filter: { serverId?: string | undefined; limit: number }): Promise<CommandRow[]> {
    const { serverId, limit } = filter;
    return this.#connection.run(() =>
      this.#connection.orm
        .select()
        .from(commands)
        .where(serverId === undefined ? undefined : eq(commands.serverId, serverId))
        .orderBy(desc(commands.startedAt))
        .limit(limit)
        .all(),
    );
  }

  /** Forgets the commands that were started before a time. Answers how many. */
  async deleteBefore(time: number): Promise<number> {
    return this.#connection.run(
      () => this.#connection.orm.delete(commands).where(lt(commands.startedAt, time)).run().changes,
    );
  }
}

function prepareBegin({ orm }: Connection) {
  return orm
    .insert(commands)
    .values({
      id: sql.placeholder('id'),
      serverId: sql.placeholder('serverId'),
      agentId: sql.placeholder('agentId'),
      actor: sql.placeholder('actor'),
      method: sql.placeholder('method'),
      params: sql.placeholder('params'),
      status: 'running',
      startedAt: sql.placeholder('startedAt'),
    })
    .prepare();
}

function prepareFinish({ orm }: Connection) {
  return orm
    .update(commands)
    .set({
      status: sql`${sql.placeholder('status')}`,
      errorCode: sql`${sql.placeholder('errorCode')}`,
      errorMessage: sql`${sql.placeholder('errorMessage')}`,
      durationMs: sql`${sql.placeholder('durationMs')}`,
    })
    .where(eq(commands.id, sql.placeholder('id')))
    .prepare();
}
