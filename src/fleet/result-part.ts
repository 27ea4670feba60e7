import type { TextStretch } from '../db/command-results.ts';
import { cutText, RESULT_TEXT_MAX_CHARS } from './text-limit.ts';

/** Where a stretch of text ends that begins at `offset` and of which a part can be shown. */
export function stretchEnd(offset: number): number {
  // By one more it is seen whether anything follows.
  return offset + RESULT_TEXT_MAX_CHARS + 1;
}

/** That stretch of a text that is in memory. */
export function stretchOf(text: string, offset: number): TextStretch {
  return { text: text.slice(offset, stretchEnd(offset)), chars: text.length };
}

export interface ResultPart {
  readonly text: string;
  /** Where the next part begins; undefined if this is the last. */
  readonly next: number | undefined;
}

/** What is shown of a stretch in one answer, cut after a whole line. */
export function resultPart({ text }: TextStretch, offset: number): ResultPart {
  const cut = cutText(text);
  return cut === undefined ? { text, next: undefined } : { text: cut, next: offset + cut.length };
}
