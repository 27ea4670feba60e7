import type { CommandEntry } from '../../protocol/commands/define-command.ts';
import { cutText, RESULT_TEXT_MAX_CHARS } from './text-limit.ts';

/** A result as callers are shown it where it is text; what result_offset counts in. */
export function resultText(result: unknown): string {
  return JSON.stringify(result ?? null, null, 1);
}

interface Given {
  readonly entry: CommandEntry | undefined;
  readonly params: Readonly<Record<string, unknown>>;
  readonly text: string;
  /** Whether who began the command waited for it. */
  readonly isTaken: boolean;
}

/**
 * What is kept of a result. Nothing that was shown with its secrets; and what only read and was taken
 * whole can be read again.
 */
export function keptResult({ entry, params, text, isTaken }: Given): string | undefined {
  if (params['reveal_env'] === true) return undefined;
  const isTakenWhole = isTaken && text.length <= RESULT_TEXT_MAX_CHARS;
  return entry?.access === 'read' && isTakenWhole ? undefined : text;
}

export interface ResultPart {
  readonly text: string;
  /** Where the next part begins; undefined if this is the last. */
  readonly next: number | undefined;
}

/** A part of a result that is shown in one answer, cut after a whole line. */
export function resultPart(text: string, offset: number): ResultPart {
  const rest = text.slice(offset);
  const cut = cutText(rest);
  return cut === undefined
    ? { text: rest, next: undefined }
    : { text: cut, next: offset + cut.length };
}
