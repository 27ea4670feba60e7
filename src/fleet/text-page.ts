import { RESULT_TEXT_MAX_CHARS } from './text-limit.ts';

/** Of all rows of a page; what stands around them has the rest. */
const ROWS_MAX_CHARS = RESULT_TEXT_MAX_CHARS - 2_000;
const BRACKETS_CHARS = 8;

/** Tells how many rows fit into an answer that hosts show a model whole. */
export class TextPage {
  #chars = 0;
  #count = 0;

  /** Whether there is room for the row, which has it then; for the first there always is. */
  fits(row: object): boolean {
    // As deep in the answer as rows stand, without the brackets.
    this.#chars += JSON.stringify([[row]], null, 1).length - BRACKETS_CHARS;
    this.#count += 1;
    return this.#count === 1 || this.#chars <= ROWS_MAX_CHARS;
  }
}

/** The first of the rows: as many as fit. */
export function fitting<T extends object>(rows: readonly T[]): readonly T[] {
  const page = new TextPage();
  const end = rows.findIndex((row) => !page.fits(row));
  return end === -1 ? rows : rows.slice(0, end);
}

/** The beginning of an object as JSON, if the whole is longer. */
export function beginning(value: object | null, maxChars: number): string | undefined {
  const text = JSON.stringify(value);
  if (text.length <= maxChars) return undefined;
  return text.slice(0, maxChars).replace(/[\uD800-\uDBFF]$/, '');
}
