import { findCommand } from '../../protocol/commands/catalogue.ts';
import { TomoError } from '../../protocol/errors.ts';
import { RESULT_KEPT_MS, RESULTS_KEPT_MAX_BYTES } from '../../protocol/limits.ts';
import type { CommandRow } from '../db/command-repository.ts';
import type { TextStretch } from '../db/command-results.ts';
import type { CommandEnding } from './command-run.ts';
import type { CommandAnswer } from './command-schema.ts';
import type { FleetContext } from './fleet-context.ts';
import { type ResultPart, resultPart, stretchEnd, stretchOf } from './result-part.ts';

const HOUR_MS = 3_600_000;
const MIB = 1024 * 1024;
const READ_AGAIN = 'Run it again to see it.';
const LOOK_FIRST =
  'The command was carried out: see what it has changed before you run it again, and read its result soon.';

/**
 * The result of a command that has ended, or the part of it that is asked for; a note if there is none.
 * It is that of the ending, if the caller was there: of what only reads it may not be kept.
 */
export async function resultAnswer(
  { db, audit }: FleetContext,
  row: CommandRow,
  offset: number | undefined,
  { text, result }: Pick<CommandEnding, 'text' | 'result'> = {},
): Promise<Partial<CommandAnswer>> {
  const from = offset ?? 0;
  // In this order: what is not in memory any more has been written.
  const whole = text ?? audit.unwrittenResult(row.id);
  const stretch =
    whole === undefined
      ? await db.results.read(row.id, from, stretchEnd(from))
      : stretchOf(whole, from);
  return stretch === undefined ? noteOf(row) : shownResult(stretch, offset, result);
}

/** The result whole, if that is not too long and a part of it was not asked for. */
export function shownResult(
  stretch: TextStretch,
  offset: number | undefined,
  result: unknown,
): Partial<CommandAnswer> {
  const { text, chars } = stretch;
  const from = offset ?? 0;
  if (from > 0 && from >= chars) throw pastTheEnd('result_offset', from, chars, 'characters');
  if (/^[\uDC00-\uDFFF]/.test(text)) throw insideCharacter(from);
  const part = resultPart(stretch, from);
  if (part.next !== undefined || offset !== undefined) {
    return { ...partFields(part), result_chars: chars };
  }
  const whole: unknown = result ?? JSON.parse(text);
  return { result: whole };
}

function partFields({ text, next }: ResultPart): Partial<CommandAnswer> {
  return {
    result_text: text,
    truncated: true,
    ...(next === undefined ? {} : { next_result_offset: next }),
  };
}

/** Why a position is refused. */
export function pastTheEnd(name: string, asked: number, end: number, unit: string): TomoError {
  return new TomoError(
    'INVALID_PARAMS',
    `${name} ${asked} is past the end: there are ${end} ${unit}. Leave it out, or pass what the answer before named as the next.`,
  );
}

function insideCharacter(asked: number): TomoError {
  return new TomoError(
    'INVALID_PARAMS',
    `result_offset ${asked} lies inside a character: pass what the answer before named as the next.`,
  );
}

/** Why there is no result, where that is not in the error. */
function noteOf(row: CommandRow): Pick<CommandAnswer, 'note'> {
  const { agentId, method, resultBytes, errorCode } = row;
  if (agentId === '') return { note: `${method} is a tool of Tomo and leaves no result here.` };
  return resultBytes === null || errorCode !== null ? {} : { note: whyNotKept(row) };
}

function whyNotKept({ method, params, startedAt, durationMs, ...row }: CommandRow): string {
  if (params['reveal_env'] === true) {
    return 'The result is not kept because it shows the values of environment variables. Run it again to see it.';
  }
  const hours = RESULT_KEPT_MS / HOUR_MS;
  if (startedAt + (durationMs ?? 0) < Date.now() - RESULT_KEPT_MS) {
    return `The result is not kept any more: results are kept for ${hours} hours.`;
  }
  const isRead = findCommand(method)?.access === 'read';
  if (row.resultKept === true) {
    const why = `though it is not ${hours} hours old: all results together may take ${RESULTS_KEPT_MAX_BYTES / MIB} MiB, those of ${row.actor} from ${row.serverId} took most of it, and this one gave way to newer ones.`;
    return `The result is not kept any more, ${why} ${isRead ? READ_AGAIN : LOOK_FIRST}`;
  }
  if (row.resultKept === null) {
    return `No result was kept: the command ran under an earlier version of Tomo. ${isRead ? READ_AGAIN : LOOK_FIRST}`;
  }
  return isRead
    ? `The result was given to whoever waited for it and is not kept, because the method only reads. ${READ_AGAIN}`
    : `The result could not be kept: the database did not take it in time. ${LOOK_FIRST}`;
}
