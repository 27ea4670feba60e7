import { findCommand } from '../../protocol/commands/catalogue.ts';
import { errorName, TomoError } from '../../protocol/errors.ts';
import { RESULT_KEPT_MS, UNREAD_MAX_MS } from '../../protocol/limits.ts';
import type { CommandRow } from '../db/command-repository.ts';
import type { CommandEnding } from './command-run.ts';
import type { CommandAnswer, CommandOutputPage } from './command-schema.ts';
import type { FleetContext } from './fleet-context.ts';
import { type ResultPart, resultPart, resultText } from './result-text.ts';

/** Characters of output in one answer; it comes as text and as data. */
const OUTPUT_MAX_CHARS = 25_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

type Row = Pick<
  CommandRow,
  | 'id'
  | 'agentId'
  | 'method'
  | 'params'
  | 'status'
  | 'errorCode'
  | 'errorMessage'
  | 'startedAt'
  | 'durationMs'
  | 'resultBytes'
>;

/** Where its reader is in a command's output and in the text of its result. */
export interface Reading {
  readonly offset?: number | undefined;
  readonly resultOffset?: number | undefined;
}

/** What a caller is told of a command that this process has just carried out. */
export function endedAnswer(
  context: FleetContext,
  { id, method }: Pick<CommandRow, 'id' | 'method'>,
  { status, result, text, error, durationMs }: CommandEnding,
): CommandAnswer {
  return {
    command_id: id,
    status,
    ...(text === undefined ? {} : shownResult(text, 0, result)),
    ...(error === undefined ? {} : { error }),
    ...(isLossless(method) ? outputOf(context, id) : {}),
    duration_ms: durationMs,
  };
}

/** The same of one that goes on. */
export function runningAnswer(
  context: FleetContext,
  { id, status }: Pick<CommandAnswer, 'status'> & { readonly id: string },
  durationMs: number,
  offset?: number,
): CommandAnswer {
  const step = context.hub.outputs.lastStep(id);
  return {
    command_id: id,
    status,
    ...outputOf(context, id, offset),
    ...(step === undefined ? {} : { progress: { ...step } }),
    duration_ms: Math.round(durationMs),
  };
}

/**
 * What a caller is told of a command by its row: how far it is, or how it ended. The result is that of
 * the ending, if the caller was there: of what only reads it may not be kept.
 */
export async function rowAnswer(
  context: FleetContext,
  row: Row,
  { offset, resultOffset }: Reading,
  ending?: CommandEnding,
): Promise<CommandAnswer> {
  const { id, method, status } = row;
  const durationMs = row.durationMs ?? durationOf(context, row);
  if (!isOver(row)) {
    return { ...runningAnswer(context, { id, status }, durationMs, offset), ...errorOf(row) };
  }
  const { note, ...result } = await resultOf(context, row, resultOffset, ending);
  const output = offset !== undefined || isLossless(method) ? outputOf(context, id, offset) : {};
  const notes = [note, noteOfOutput(context, row, offset)].filter((text) => text !== undefined);
  return {
    command_id: id,
    status,
    ...result,
    ...errorOf(row),
    ...output,
    ...(notes.length === 0 ? {} : { note: notes.join(' ') }),
    duration_ms: durationMs,
  };
}

/** Whether a command has ended for good. */
export function isOver({ status }: Pick<CommandRow, 'status'>): boolean {
  return status !== 'running' && status !== 'detached';
}

export function isLossless(method: string): boolean {
  return findCommand(method)?.streams === 'lossless';
}

/** A page of a command's output, if it is live; without an offset nothing counts as read by it. */
export function outputPage(
  { hub: { outputs } }: FleetContext,
  id: string,
  offset?: number,
): CommandOutputPage | undefined {
  const page = outputs.read(id, { offset, maxChars: OUTPUT_MAX_CHARS });
  if (page === undefined) return undefined;
  return {
    offset: page.offset,
    next_offset: page.nextOffset,
    parts: page.parts.map(({ stream, text }) => ({ stream, text })),
    dropped_bytes: page.droppedBytes,
    has_more: page.hasMore,
  };
}

/** Throws INVALID_PARAMS for a place that a command's output has not come to. */
export function refusePastTheEnd({ hub }: FleetContext, id: string, offset: number): void {
  const end = hub.outputs.end(id) ?? offset;
  if (offset > end) throw pastTheEnd('offset', offset, end, 'bytes');
}

/** A page of output, if there is any or it was asked for. */
function outputOf(
  context: FleetContext,
  id: string,
  offset?: number,
): Pick<CommandAnswer, 'output'> {
  const output = outputPage(context, id, offset);
  const isShown = output !== undefined && (offset !== undefined || output.next_offset > 0);
  return isShown ? { output } : {};
}

function errorOf({ errorCode: code, errorMessage }: Row): Pick<CommandAnswer, 'error'> {
  if (code === null) return {};
  const name = errorName(code);
  return { error: { code, name, message: errorMessage ?? name } };
}

function durationOf({ runs }: FleetContext, { id, startedAt }: Row): number {
  return Math.round(runs.get(id)?.durationMs() ?? Math.max(0, Date.now() - startedAt));
}

async function resultOf(
  { db, audit }: FleetContext,
  row: Row,
  offset: number | undefined,
  { text, result: given }: Pick<CommandEnding, 'text' | 'result'> = {},
): Promise<Partial<CommandAnswer>> {
  if (text !== undefined) {
    return shownResult(text, offset ?? 0, offset === undefined ? given : undefined);
  }
  const kept = (await db.results.find(row.id)) ?? audit.unwrittenResult(row.id);
  if (kept === undefined) return noteOf(row);
  const result: unknown = JSON.parse(kept);
  return shownResult(resultText(result), offset ?? 0, offset === undefined ? result : undefined);
}

/** The result whole, if that is not too long and a part of it was not asked for. */
function shownResult(text: string, offset: number, result: unknown): Partial<CommandAnswer> {
  if (offset > 0 && offset >= text.length) {
    throw pastTheEnd('result_offset', offset, text.length, 'characters');
  }
  const part = resultPart(text, offset);
  if (part.next === undefined && result !== undefined) return { result };
  return { ...partFields(part), result_chars: text.length };
}

function partFields({ text, next }: ResultPart): Partial<CommandAnswer> {
  return {
    result_text: text,
    truncated: true,
    ...(next === undefined ? {} : { next_result_offset: next }),
  };
}

function pastTheEnd(name: string, asked: number, end: number, unit: string): TomoError {
  return new TomoError(
    'INVALID_PARAMS',
    `${name} ${asked} is past the end: there are ${end} ${unit}. Leave it out, or pass what the answer before named as the next.`,
  );
}

/** Why there is no result, where that is not in the error. */
function noteOf(row: Row): Pick<CommandAnswer, 'note'> {
  const { agentId, method, resultBytes } = row;
  if (agentId === '') return { note: `${method} is a tool of Tomo and leaves no result here.` };
  return resultBytes === null ? {} : { note: whyNotKept(row) };
}

/** That output is gone which was asked for, and what to do. */
function noteOfOutput(
  { hub }: FleetContext,
  { id, method, params }: Row,
  offset: number | undefined,
): string | undefined {
  const isAsked = offset !== undefined || (isLossless(method) && params['follow'] === true);
  if (!isAsked || hub.outputs.has(id)) return undefined;
  const what = offset === undefined ? 'that nobody has read' : `from byte ${offset} on`;
  const why = `it is kept for ${UNREAD_MAX_MS / MINUTE_MS} minutes after the end, while there is room and Tomo runs.`;
  const instead = isLossless(method)
    ? 'To see it, run the command again with since: the time of the last line you have.'
    : 'The result is all that is left of it.';
  return `Output ${what} is not kept any more, if there was any: ${why} ${instead}`;
}

function whyNotKept({ method, params, startedAt, durationMs }: Row): string {
  if (params['reveal_env'] === true) {
    return 'The result is not kept because it shows the values of environment variables. Run it again to see it.';
  }
  const hours = RESULT_KEPT_MS / HOUR_MS;
  if (startedAt + (durationMs ?? 0) < Date.now() - RESULT_KEPT_MS) {
    return `The result is not kept any more: results are kept for ${hours} hours.`;
  }
  return findCommand(method)?.access === 'read'
    ? 'The result was given to whoever waited for it and is not kept, because the method only reads. Run it again.'
    : `The result is not kept any more: it gave way to newer ones, though it is not ${hours} hours old.`;
}
