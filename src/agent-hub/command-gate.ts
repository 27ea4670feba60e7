import { z } from 'zod';
import { type Access, grants, lowerAccess } from '../../protocol/access.ts';
import { CATALOGUE, findCommand, methodNames } from '../../protocol/commands/catalogue.ts';
import type { CommandEntry, TimeoutParam } from '../../protocol/commands/define-command.ts';
import { requiredAccess } from '../../protocol/commands/required-access.ts';
import { TomoError } from '../../protocol/errors.ts';
import { exceedsDepth } from '../../protocol/json-limits.ts';
import { CALL_MARGIN_MS, JSON_DEPTH_MAX, UNREAD_MAX_MS } from '../../protocol/limits.ts';

/** What is told of the faults of params or of an answer, which can have one in each of its items. */
const FAULTS_MAX_CHARS = 1_000;

export interface GatedCommand {
  readonly entry: CommandEntry;
  /** What to send: what the caller wrote, so that agents apply their own defaults. */
  readonly params: Record<string, unknown>;
  /** Milliseconds the hub waits for the answer. */
  readonly timeoutMs: number;
}

export interface GateRequest {
  readonly method: string;
  readonly params: Record<string, unknown>;
  /** What the caller may do. */
  readonly access: Access;
  /** The most this agent may be asked to do. */
  readonly ceiling: Access;
  /** Methods the agent says it has; undefined if it did not say. */
  readonly capabilities: readonly string[] | undefined;
  /** The caller's own limit, if it gave one. */
  readonly timeoutMs: number | undefined;
}

/** Everything that can be refused before a command is sent. Throws TomoErrors. */
export function gateCommand(request: GateRequest): GatedCommand {
  const entry = knownMethod(request.method);
  if (request.capabilities !== undefined && !request.capabilities.includes(request.method)) {
    throw new TomoError(
      'METHOD_NOT_FOUND',
      `This agent's version does not have ${request.method}. Update the agent, or see list_agent_commands with its server_id.`,
      { facts: { method: request.method } },
    );
  }
  // The message around them is one level more.
  if (exceedsDepth(request.params, JSON_DEPTH_MAX - 1)) throw tooDeep(request.method);
  const params = entry.params.safeParse(request.params);
  if (!params.success) throw invalidParams(request.method, params.error);
  const granted = entry.beyondCeiling
    ? request.access
    : lowerAccess(request.access, request.ceiling);
  const needed = requiredAccess(entry, request.params);
  if (!grants(granted, needed)) throw accessDenied(request, needed, granted);
  return { entry, ...withTimeLimit(request, entry, params.data) };
}

/** Throws METHOD_NOT_FOUND for a method that is not in the catalogue. */
export function knownMethod(method: string): CommandEntry {
  const entry = findCommand(method);
  if (entry === undefined) throw unknownMethod(method);
  return entry;
}

/** Refuses an answer that is not what the catalogue promises to callers. */
export function checkResult(method: string, entry: CommandEntry, result: unknown): void {
  const parsed = entry.result.safeParse(result);
  if (parsed.success) return;
  throw new TomoError(
    'INVALID_ANSWER',
    `The agent answered ${method} with something else than the catalogue says (${faults(parsed.error)}). The command was carried out.`,
    { facts: { method } },
  );
}

/** How long to wait, and the caller's own limit passed on to a method that can stop itself. */
function withTimeLimit(
  { params, timeoutMs }: GateRequest,
  entry: CommandEntry,
  parsed: unknown,
): Omit<GatedCommand, 'entry'> {
  const { timeoutParam } = entry;
  const isLimited = timeoutParam !== undefined && hasOwnLimit(timeoutParam, params);
  if (!isLimited) return { params, timeoutMs: timeoutMs ?? entry.timeoutMs };
  const { name, kind } = timeoutParam;
  if (kind === 'limit' && timeoutMs !== undefined && params[name] === undefined) {
    const seconds = Math.ceil(timeoutMs / 1_000);
    return { params: { ...params, [name]: seconds }, timeoutMs: timeoutMs + marginMs(entry) };
  }
  const own = Number(paramOf(parsed, name) ?? 0) * 1_000;
  if (kind === 'grace') return { params, timeoutMs: timeoutMs ?? own + entry.timeoutMs };
  // Only a caller that waits for less than the method's own limit goes without its answer.
  const goesEarlier = timeoutMs !== undefined && timeoutMs < own;
  return { params, timeoutMs: goesEarlier ? timeoutMs : own + marginMs(entry) };
}

/** What an agent sends without loss it sends as it is read: its answer comes after that. */
function marginMs({ streams }: CommandEntry): number {
  return streams === 'lossless' ? UNREAD_MAX_MS + CALL_MARGIN_MS : CALL_MARGIN_MS;
}

function hasOwnLimit({ name, onlyWith }: TimeoutParam, params: Record<string, unknown>): boolean {
  return onlyWith === undefined || params[onlyWith] === true || params[name] !== undefined;
}

function paramOf(params: unknown, name: string): unknown {
  return z.record(z.string(), z.unknown()).parse(params)[name];
}

function unknownMethod(method: string): TomoError {
  const family = method.split('.').slice(0, 2).join('.');
  const near = methodNames().filter((name) => name.startsWith(family));
  const hint = near.length > 0 ? ` Did you mean ${near.slice(0, 12).join(', ')}?` : '';
  return new TomoError(
    'METHOD_NOT_FOUND',
    `Unknown method "${method}".${hint} list_agent_commands shows all ${Object.keys(CATALOGUE).length}.`,
    { facts: { method } },
  );
}

function invalidParams(method: string, error: z.ZodError): TomoError {
  return new TomoError(
    'INVALID_PARAMS',
    `Params of ${method} are not valid:\n${faults(error)}\nlist_agent_commands shows what it takes.`,
    { facts: { method } },
  );
}

function tooDeep(method: string): TomoError {
  return new TomoError(
    'INVALID_PARAMS',
    `Params of ${method} nest deeper than ${JSON_DEPTH_MAX - 1} arrays and objects.`,
    { facts: { method } },
  );
}

function faults(error: z.ZodError): string {
  const text = z.prettifyError(error);
  return text.length > FAULTS_MAX_CHARS ? `${text.slice(0, FAULTS_MAX_CHARS)}…` : text;
}

function accessDenied({ method, access }: GateRequest, needed: Access, granted: Access): TomoError {
  const reason = grants(access, needed)
    ? `this agent is held to "${granted}". A higher level is given by install_agent with access: "${needed}" and replace: true.`
    : `you have "${access}": your token gives no more, or Tomo runs with --read-only. Ask whoever runs it for a token of that level.`;
  return new TomoError('ACCESS_DENIED', `${method} needs access "${needed}", and ${reason}`, {
    facts: { method, needed, granted },
  });
}
