import type { z } from 'zod';
import { TomoError } from '../../protocol/errors.ts';

/** A place in a list as clients hand it back for the next page. */
export function cursorOf(place: ReadonlyArray<string | number>): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url');
}

/** The place that a cursor of a tool stands for. Throws INVALID_PARAMS for anything else. */
export function placeOf<T>(cursor: string, schema: z.ZodType<T>, tool: string): T {
  try {
    return schema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()));
  } catch (cause) {
    throw new TomoError(
      'INVALID_PARAMS',
      `cursor is not one of ${tool}: pass next_cursor of the page before, or leave it out.`,
      { cause },
    );
  }
}
