import { and, lt, lte, or, type SQL } from 'drizzle-orm';
import type { SQLiteColumn } from 'drizzle-orm/sqlite-core';

/** The time and the id of a row, by which a list is ordered. */
interface Columns {
  readonly at: SQLiteColumn;
  readonly id: SQLiteColumn;
}

interface Position {
  readonly at: number;
  readonly id: string | number;
}

/** What comes after a row in a list that begins with the latest and, of one time, the greatest id. */
export function isAfter({ at, id }: Columns, position: Position): SQL | undefined {
  // The first half lets SQLite begin in the index at that place.
  return and(lte(at, position.at), or(lt(at, position.at), lt(id, position.id)));
}
