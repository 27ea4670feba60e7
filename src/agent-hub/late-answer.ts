import { findCommand } from '../../protocol/commands/catalogue.ts';
import { redactEnvironment } from '../../protocol/commands/redact-environment.ts';
import { type TomoError, toTomoError } from '../../protocol/errors.ts';
import type { RpcResponse } from '../../protocol/json-rpc.ts';
import type { CommandEnd, CommandRow } from '../db/command-repository.ts';
import { checkResult } from './command-gate.ts';
import { statusOfError, statusOfResult } from './command-outcome.ts';
import { answeredError } from './connection-errors.ts';

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
    result: keptResult(row, response.result),
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

/** The result's JSON without the values of environments; none of a call that asked for these. */
function keptResult({ method, params }: CommandRow, result: unknown): string | undefined {
  if (params['reveal_env'] === true) return undefined;
  const entry = findCommand(method);
  return JSON.stringify(entry === undefined ? result : redactEnvironment(entry, params, result));
}

function durationOf({ startedAt }: CommandRow, now: number): number {
  return Math.max(0, now - startedAt);
}
