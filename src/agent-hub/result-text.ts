import { findCommand } from '../../protocol/commands/catalogue.ts';
import { redactEnvironment } from '../../protocol/commands/redact-environment.ts';
import type { CommandRow } from '../db/command-repository.ts';

/** A result as callers are shown it where it is text; what result_offset counts in. */
export function resultText(result: unknown): string {
  return JSON.stringify(result ?? null, null, 1);
}

interface ShownResult {
  /** Without the values of environments, unless these were asked for. */
  readonly result: unknown;
  readonly text: string;
  /** What of it may be written down: nothing that shows these values. */
  readonly keepable: string | undefined;
}

/** What an agent answered, as it is shown and kept. */
export function shownResult(
  { method, params }: Pick<CommandRow, 'method' | 'params'>,
  answered: unknown,
): ShownResult {
  const entry = findCommand(method);
  const result = entry === undefined ? answered : redactEnvironment(entry, params, answered);
  const text = resultText(result);
  return { result, text, keepable: params['reveal_env'] === true ? undefined : text };
}
