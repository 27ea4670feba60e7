import { findCommand } from '../../protocol/commands/catalogue.ts';
import { errorName } from '../../protocol/errors.ts';
import { UNREAD_MAX_MS } from '../../protocol/limits.ts';
import type { CommandRow } from '../db/command-repository.ts';
import type { CommandEnding } from './command-run.ts';
import type { CommandAnswer, CommandOutputPage } from './command-schema.ts';
import type { FleetContext } from './fleet-context.ts';
import { pastTheEnd, resultAnswer, shownResult } from './result-answer.ts';
import { stretchOf } from './result-part.ts';

/** Characters of output in one answer; it comes as text and as data. */
const OUTPUT_MAX_CHARS = 25_000;
const MINUTE_MS = 60_000;

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
    ...(text === undefined ? {} : shownResult(stretchOf(text, 0), undefined, result)),
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
  row: CommandRow,
  { offset, resultOffset }: Reading,
  ending?: CommandEnding,
): Promise<CommandAnswer> {
  const { id, method, status } = row;
  const durationMs = row.durationMs ?? durationOf(context, row);
  if (!isOver(row)) {
    return { ...runningAnswer(context, { id, status }, durationMs, offset), ...errorOf(row) };
  }
  const { note, ...result } = await resultAnswer(context, row, resultOffset, ending);
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

function errorOf({ errorCode: code, errorMessage }: CommandRow): Pick<CommandAnswer, 'error'> {
  if (code === null) return {};
  const name = errorName(code);
  return { error: { code, name, message: errorMessage ?? name } };
}

function durationOf({ runs }: FleetContext, { id, startedAt }: CommandRow): number {
  return Math.round(runs.get(id)?.durationMs() ?? Math.max(0, Date.now() - startedAt));
}

/** That output is gone which was asked for, and what to do. */
function noteOfOutput(
  { hub }: FleetContext,
  { id, method, params }: CommandRow,
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
