import { eq, lt, sql } from 'drizzle-orm';
import type { Connection } from './connection.ts';
import { commandResults } from './schema.ts';

/** What the oldest results are deleted down to once the limit is passed, so that this is seldom done. */
const KEPT_SHARE = 7 / 8;

/** What commands answered, as JSON, the newest up to a number of bytes. Methods throw DatabaseError. */
export class CommandResults {
  readonly #connection: Connection;
  readonly #maxBytes: number;
  readonly #put: ReturnType<typeof preparePut>;
  /** At least what all of them take; unknown before the first is added. */
  #bytes: number | undefined;

  constructor(connection: Connection, maxBytes: number = Number.POSITIVE_INFINITY) {
    this.#connection = connection;
    this.#maxBytes = maxBytes;
    this.#put = preparePut(connection);
  }

  /** Keeps a result, within the transaction that its caller is in; the oldest give way to it. */
  put(id: string, result: string, keptAt: number): void {
    const bytes = Buffer.byteLength(result);
    this.#put.run({ id, result, bytes, keptAt });
    // Too much if the transaction is undone after all: it is added up anew before anything is deleted.
    this.#bytes = this.#bytes === undefined ? this.#sum() : this.#bytes + bytes;
    if (this.#bytes <= this.#maxBytes) return;
    this.#bytes = this.#sum();
    if (this.#bytes > this.#maxBytes) this.#deleteOldest();
  }

  async find(id: string): Promise<string | undefined> {
    return this.#connection.run(
      () =>
        this.#connection.orm
          .select({ result: commandResults.result })
          .from(commandResults)
          .where(eq(commandResults.id, id))
          .get()?.result,
    );
  }

  /** Forgets those kept since before a time. Answers how many. */
  async deleteBefore(time: number): Promise<number> {
    return this.#connection.run(() => {
      const { changes } = this.#connection.orm
        .delete(commandResults)
        .where(lt(commandResults.keptAt, time))
        .run();
      this.#bytes = undefined;
      return changes;
    });
  }

  #sum(): number {
    const bytes = sql<number>`ifnull(sum(${commandResults.bytes}), 0)`;
    return this.#connection.orm.select({ bytes }).from(commandResults).get()?.bytes ?? 0;
  }

  #deleteOldest(): void {
    this.#connection.orm.run(sql`
      DELETE FROM command_results WHERE id IN (
        SELECT id FROM (
          SELECT id, sum(bytes) OVER (ORDER BY kept_at DESC, rowid DESC) AS with_newer
          FROM command_results
        ) WHERE with_newer > ${this.#maxBytes * KEPT_SHARE}
      )`);
    this.#bytes = this.#sum();
  }
}

function preparePut({ orm }: Connection) {
  return orm
    .insert(commandResults)
    .values({
      id: sql.placeholder('id'),
      result: sql.placeholder('result'),
      bytes: sql.placeholder('bytes'),
      keptAt: sql.placeholder('keptAt'),
    })
    .prepare();
}
