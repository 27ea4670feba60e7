import { findCommand } from '../../protocol/commands/catalogue.ts';

type Params = Record<string, unknown>;

/** Stands for the server in rows about no single one. */
export const FLEET = '*';

/** Params kept in one row of the audit, as JSON; what is longer is described. */
const PARAMS_MAX_CHARS = 16 * 1024;
/** How long each of them may be when they are too long together. */
const PARAM_MAX_CHARS = 1_024;

/**
 * A command's params for the audit: secrets blanked; nothing of what the method does not take, which
 * may be secret too.
 */
export function auditParams(method: string, params: Params): Params {
  const entry = findCommand(method);
  if (entry?.params.safeParse(params).success !== true) return {};
  return boundedParams(
    Object.fromEntries(
      Object.entries(params).map(([name, value]) => [
        name,
        entry.secrets.includes(name) ? blanked(value) : value,
      ]),
    ),
  );
}

/** The same params, or, where they are too long to be kept, the long ones described. */
export function boundedParams(params: Params): Params {
  if (lengthOf(params) <= PARAMS_MAX_CHARS) return params;
  const described = Object.fromEntries(
    Object.entries(params).map(([name, value]) => {
      const length = lengthOf(value);
      return [name, length <= PARAM_MAX_CHARS ? value : `[${length} characters, not kept]`];
    }),
  );
  return lengthOf(described) <= PARAMS_MAX_CHARS ? described : {};
}

function lengthOf(value: unknown): number {
  return JSON.stringify(value)?.length ?? 0;
}

function blanked(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return '***';
  return Object.fromEntries(Object.keys(value).map((key) => [key, '***']));
}
