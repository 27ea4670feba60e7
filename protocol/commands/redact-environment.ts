import type { CommandEntry } from './define-command.ts';

const HIDDEN = '***';
/** In a path: every member of an object or a list. */
const EACH = '*';
/** In a path, before its last name: what has that name at any depth, but single values: labels may have it. */
const ANYWHERE = '**';
/** In a path: whatever is named `x-...`, at any depth. */
const EXTENSIONS = 'x-**';

/**
 * A method's result as callers may see it: the values of the environments in it become `***`, unless
 * the call has `reveal_env: true`. What is not an environment is the very same object.
 */
export function redactEnvironment(
  entry: CommandEntry,
  params: Readonly<Record<string, unknown>>,
  result: unknown,
): unknown {
  if (params['reveal_env'] === true) return result;
  return entry.environments.reduce((redacted, path) => redactAt(redacted, path.split('.')), result);
}

function redactAt(value: unknown, [key, ...rest]: readonly string[]): unknown {
  if (key === undefined) return withoutValues(value);
  if (key === EXTENSIONS) return withoutExtensions(value);
  if (key === ANYWHERE) return redactAnywhere(value, rest[0]);
  if (key === EACH && Array.isArray(value)) return value.map((item) => redactAt(item, rest));
  if (!isObject(value)) return value;
  if (key === EACH) {
    return Object.fromEntries(
      Object.entries(value).map(([name, member]) => [name, redactAt(member, rest)]),
    );
  }
  if (!Object.hasOwn(value, key)) return value;
  return { ...value, [key]: redactAt(value[key], rest) };
}

function redactAnywhere(value: unknown, wanted: string | undefined): unknown {
  if (Array.isArray(value)) return value.map((item) => redactAnywhere(item, wanted));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      name === wanted && typeof member === 'object'
        ? withoutValues(member)
        : redactAnywhere(member, wanted),
    ]),
  );
}

/** Of a list of NAME=VALUE texts or an object; anything else is hidden whole, null but empty. */
function withoutValues(value: unknown): unknown {
  if (value === null || value === undefined) return value;
  if (Array.isArray(value)) return value.map(withoutValue);
  if (!isObject(value)) return HIDDEN;
  return Object.fromEntries(Object.keys(value).map((name) => [name, HIDDEN]));
}

/** Compose gives them no meaning and shows them as they were written: any text may be in them. */
function withoutExtensions(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutExtensions);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !name.startsWith('x-'))
      .map(([name, member]) => [name, withoutExtensions(member)]),
  );
}

function withoutValue(text: unknown): string {
  const name = typeof text === 'string' ? /^[^=]*=/.exec(text)?.[0] : undefined;
  return name === undefined ? HIDDEN : `${name}${HIDDEN}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
