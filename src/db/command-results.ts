import type { Connection } from './connection.ts';
import { inSteps } from './in-steps.ts';
import { type ResultOwner, ResultRoom } from './result-room.ts';
import { PIECE_MAX_CHARS, piecesOf } from './text-pieces.ts';

/** What a result takes beside its text, or a little more: many small ones are seldom deleted at once. */
const ROW_BYTES = 1_024;
/** Rows that are looked at together when the oldest have to go. */
const OLDEST_COUNT = 64;

export interface NewResult extends ResultOwner {
  readonly commandId: string;
  readonly text: string;
  readonly keptAt: number;
}

/** Some of a text. */
export interface TextStretch {
  readonly text: string;
  /** Of the whole text, in UTF-16. */
  readonly chars: number;
}

/**
 * What commands answered, as text, up to a number of bytes: past it those of whoever has most go, the
 * oldest first. Methods throw DatabaseError.
 */
export class CommandResults {
  readonly #connection: Connection;
  readonly #maxBytes: number;
  readonly #statements: ReturnType<typeof prepare>;
  /** Unknown until the first is added. */
  #room: ResultRoom | undefined;

  constructor(connection: Connection, maxBytes: number = Number.POSITIVE_INFINITY) {
    this.#connection = connection;
    this.#maxBytes = maxBytes;
    this.#statements = prepare(connection);
  }

  /** Keeps a result, within the transaction that its caller is in. */
  put({ commandId, actor, agentId, text, keptAt }: NewResult): void {
    this.#room ??= this.#count();
    const bytes = ROW_BYTES + Buffer.byteLength(text);
    const { insert, insertPiece } = this.#statements;
    const row = { commandId, actor, agentId, chars: text.length, bytes, keptAt };
    const { lastInsertRowid: id } = insert.run(row);
    for (const piece of piecesOf(text)) insertPiece.run(id, piece.at, piece.text);
    this.#room.add({ actor, agentId }, bytes);
    this.#makeRoom(this.#room);
  }

  /** A transaction of `put` was undone: what there is has to be counted anew. */
  undone(): void {
    this.#room = undefined;
  }

  /** The text of a command's result between two places; undefined if it is not kept. */
  async read(
    commandId: string,
    from = 0,
    to: number = Number.MAX_SAFE_INTEGER,
  ): Promise<TextStretch | undefined> {
    const { find, pieces } = this.#statements;
    return this.#connection.run(() => {
      const result = find.get(commandId);
      if (result === undefined) return undefined;
      const read = pieces.all(result.id, from - PIECE_MAX_CHARS, to);
      const first = read[0]?.at ?? from;
      const text = read.map((piece) => piece.text).join('');
      return { text: text.slice(from - first, to - first), chars: result.chars };
    });
  }

  /** Forgets those kept since before a time. Answers how many. */
  async deleteBefore(time: number, signal?: AbortSignal): Promise<number> {
    let count = 0;
    try {
      await inSteps(this.#connection, signal, () => {
        const gone = this.#statements.deleteOlder.get(time);
        if (gone === undefined) return false;
        this.#room?.add(gone, -gone.bytes);
        count += 1;
        return true;
      });
    } catch (error) {
      this.undone();
      throw error;
    }
    return count;
  }

  #count(): ResultRoom {
    const room = new ResultRoom();
    for (const { bytes, ...owner } of this.#statements.sums.all()) room.add(owner, bytes);
    return room;
  }

  #makeRoom(room: ResultRoom): void {
    const { oldestOf, deleteOne } = this.#statements;
    while (room.bytes > this.#maxBytes) {
      const owner = room.greediest();
      const oldest = owner === undefined ? [] : oldestOf.all(owner.actor, owner.agentId);
      // Somebody else has deleted rows.
      if (owner === undefined || oldest.length === 0) return this.undone();
      for (const { id, bytes } of oldest) {
        if (room.bytes <= this.#maxBytes) break;
        deleteOne.run(id);
        room.add(owner, -bytes);
      }
    }
  }
}

type Sized = ResultOwner & { readonly bytes: number };
type Row = Omit<NewResult, 'text'> & { readonly chars: number; readonly bytes: number };

// Past drizzle: with the pieces of a long result it is many rows at once.
function prepare({ client }: Connection) {
  return {
    insert: client.prepare<[Row]>(
      `INSERT INTO command_results (command_id, actor, agent_id, chars, bytes, kept_at)
      VALUES (@commandId, @actor, @agentId, @chars, @bytes, @keptAt)`,
    ),
    insertPiece: client.prepare<[number | bigint, number, string]>(
      'INSERT INTO command_result_pieces (result_id, at, text) VALUES (?, ?, ?)',
    ),
    find: client.prepare<[string], { id: number; chars: number }>(
      'SELECT id, chars FROM command_results WHERE command_id = ?',
    ),
    pieces: client.prepare<[number, number, number], { at: number; text: string }>(
      `SELECT at, text FROM command_result_pieces WHERE result_id = ? AND at > ? AND at < ?
      ORDER BY at`,
    ),
    sums: client.prepare<[], Sized>(
      `SELECT actor, agent_id AS agentId, sum(bytes) AS bytes FROM command_results
      GROUP BY actor, agent_id`,
    ),
    oldestOf: client.prepare<[string, string], { id: number; bytes: number }>(
      `SELECT id, bytes FROM command_results WHERE actor = ? AND agent_id = ?
      ORDER BY id LIMIT ${OLDEST_COUNT}`,
    ),
    deleteOne: client.prepare<[number]>('DELETE FROM command_results WHERE id = ?'),
    deleteOlder: client.prepare<[number], Sized>(
      `DELETE FROM command_results WHERE id = (
        SELECT id FROM command_results WHERE kept_at < ? ORDER BY kept_at LIMIT 1
      ) RETURNING actor, agent_id AS agentId, bytes`,
    ),
  };
}
