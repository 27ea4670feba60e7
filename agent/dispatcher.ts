import type { Logger } from 'pino';
import type { z } from 'zod';
import { type Access, grants } from '../protocol/access.ts';
import {
  CATALOGUE,
  familyOf,
  type Method,
  methodNames,
  type ParamsOf,
} from '../protocol/commands/catalogue.ts';
import type { CommandEntry } from '../protocol/commands/define-command.ts';
import { redactEnvironment } from '../protocol/commands/redact-environment.ts';
import { requiredAccess } from '../protocol/commands/required-access.ts';
import { TomoError, toTomoError } from '../protocol/errors.ts';
import type { CommandContext, Handler, Handlers } from './commands/handler.ts';
import type { Guard } from './own-container/self-protection.ts';

/** Carries out a call that came from the hub. Throws nothing but TomoErrors. */
export type Dispatch = (
  method: string,
  params: unknown,
  context: CommandContext,
) => Promise<unknown>;

export interface DispatcherOptions {
  readonly handlers: Handlers;
  /** The highest access this agent grants at the moment of a call, whatever the hub thinks. */
  readonly ceiling: { readonly access: Access };
  readonly guard: Guard;
  readonly log: Logger;
}

// The catalogue seen as one mapped type, so that a method's params and its handler stay together.
const ENTRIES: { readonly [M in Method]: CommandEntry<z.ZodType<ParamsOf<M>>> } = CATALOGUE;

type Bound = (params: unknown, context: CommandContext) => Promise<unknown>;

export function createDispatcher(options: DispatcherOptions): Dispatch {
  const { log } = options;
  const bound = new Map<string, Bound>();
  for (const method of methodNames()) bound.set(method, bind(method, options));

  return async (method, params, context) => {
    try {
      const handle = bound.get(method);
      if (handle === undefined) throw unknownMethod(method);
      return await handle(params, context);
    } catch (error) {
      const shown = toTomoError(error);
      if (shown.name === 'INTERNAL_ERROR') log.error({ method, err: error }, 'command failed');
      else log.debug({ method, error: shown.name }, 'command refused');
      throw shown;
    }
  };
}

function bind<M extends Method>(method: M, { handlers, ceiling, guard }: DispatcherOptions): Bound {
  const handler: Handler<M> = handlers[method];
  const entry = ENTRIES[method];
  return async (raw, context) => {
    requireAccess(method, entry.access, ceiling.access);
    const parsed = entry.params.safeParse(raw);
    if (!parsed.success) throw invalidParams(method, parsed.error);
    const params = { ...parsed.data };
    requireAccess(method, requiredAccess(entry, params), ceiling.access);
    await guard(method, parsed.data, context.signal);
    return redactEnvironment(entry, params, await handler(parsed.data, context));
  };
}

function requireAccess(method: Method, needed: Access, granted: Access): void {
  if (CATALOGUE[method].beyondCeiling || grants(granted, needed)) return;
  throw new TomoError(
    'ACCESS_DENIED',
    `${method} needs ${needed} access for these params; this agent grants ${granted}. ` +
      'Call install_agent with a higher access and start the agent anew, or ask for less.',
    { facts: { method, needed, granted } },
  );
}

function invalidParams(method: string, error: z.core.$ZodError): TomoError {
  const issues = error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join('.')}: ${message}`,
  );
  const text = `Invalid params of ${method}: ${issues.join('; ')}`;
  return new TomoError('INVALID_PARAMS', text, { facts: { method, issues } });
}

function unknownMethod(method: string): TomoError {
  const similar = similarMethods(method);
  const hint =
    similar.length > 0
      ? `Similar: ${similar.join(', ')}.`
      : `Families: ${[...new Set(methodNames().map(familyOf))].join(', ')}.`;
  return new TomoError('METHOD_NOT_FOUND', `This agent has no method ${method}. ${hint}`, {
    facts: { method, similar },
  });
}

/** The rest of its family, or the methods of the same last word. */
function similarMethods(method: string): readonly string[] {
  const family = methodNames().filter((name) => familyOf(name) === familyOf(method));
  if (family.length > 0) return family;
  const lastWord = `.${method.slice(method.lastIndexOf('.') + 1)}`;
  return methodNames().filter((name) => name.endsWith(lastWord));
}
