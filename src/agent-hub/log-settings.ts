import { LOG_KEEP_DEFAULT_MIB, LOG_KEEP_MAX_MIB } from '../../protocol/limits.ts';
import { type LogCollection, logCollectionSchema } from '../../protocol/log-collection.ts';

/** Whose logs an agent collects, and how much of them is kept. */
export interface LogSettings {
  readonly log_collection: LogCollection;
  readonly log_keep_mib: number;
}

/** The key that each has in the settings table; the first is JSON there. */
export const LOG_SETTING_KEYS = {
  log_collection: 'agent_log_collection',
  log_keep_mib: 'agent_log_keep_mib',
} as const;

/** The fleet's settings with one agent's own on top; a stored value that is not allowed is passed over. */
export function effectiveLogSettings(
  settings: Readonly<Record<string, string>>,
  overrides: Readonly<Record<string, unknown>> | null,
): LogSettings {
  const keys = LOG_SETTING_KEYS;
  return {
    log_collection:
      collection(overrides?.['log_collection']) ??
      collection(parseJson(settings[keys.log_collection])) ??
      'off',
    log_keep_mib:
      mebibytes(overrides?.['log_keep_mib']) ??
      mebibytes(Number(settings[keys.log_keep_mib])) ??
      LOG_KEEP_DEFAULT_MIB,
  };
}

function collection(value: unknown): LogCollection | undefined {
  return logCollectionSchema.safeParse(value).data;
}

function mebibytes(value: unknown): number | undefined {
  const isAllowed =
    Number.isInteger(value) && Number(value) >= 1 && Number(value) <= LOG_KEEP_MAX_MIB;
  return isAllowed ? Number(value) : undefined;
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? 'null');
  } catch {
    return undefined;
  }
}
