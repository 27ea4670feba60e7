import { findCommand } from '../../protocol/commands/catalogue.ts';
import { type TomoError, toTomoError } from '../../protocol/errors.ts';
import type { RpcResponse } from '../../protocol/json-rpc.ts';
import type { CommandEnd, CommandRow } from '../db/command-repository.ts';
import { checkResult } from './command-gate.ts';
import { statusOfError, statusOfResult } from './command-outcome.ts';
import { answeredError } from './connection-errors.ts';
import { shownResult } from './result-text.ts';

/** An answer that no call waits for. */
export interface LateAnswer {
  readonly response: RpcResponse;
  /** Of the result as JSON. */
  readonly bytes: number;
}

/** How a command's row ends with its answer. */
export function endByAnswer(
  row: CommandRow,
  { response, bytes }: LateAnswer,
  now: number,
): CommandEnd {
  if ('error' in response) return endByError(row, answeredError(response.error), now);
  try {
    const entry = findCommand(row.method);
    if (entry !== undefined) checkResult(row.method, entry, response.result);
  } catch (cause) {
    return { ...endByError(row, toTomoError(cause), now), resultBytes: bytes };
  }
  return {
    status: statusOfResult(response.result),
    durationMs: durationOf(row, now),
    resultBytes: bytes,
    result: shownResult(row, response.result).keepable,
  };
}

/** The same without an answer, or with an error for one. */
export function endByError(row: CommandRow, error: TomoError, now: number): CommandEnd {
  const { code, message } = error;
  return {
    status: statusOfError(error),
    errorCode: code,
    errorMessage: message,
    durationMs: durationOf(row, now),
  };
}

function durationOf({ startedAt }: CommandRow, now: number): number {
  return Math.max(0, now - startedAt);
}
