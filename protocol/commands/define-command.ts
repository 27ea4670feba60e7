import type { z } from 'zod';
import type { Access } from '../access.ts';

/** How a method's output travels; see PROTOCOL.md. */
export type Streams = 'none' | 'lossless' | 'newest';

/**
 * `limit`: the method is stopped after that time, so the caller's own time-out is passed on in it.
 * `grace`: the method may take that much longer than usual.
 */
export interface TimeoutParam {
  readonly name: string;
  readonly kind: 'limit' | 'grace';
  /**
   * The boolean param with which alone the method ends by itself. Without it a caller's time-out is not
   * passed on: agents of the first deployment refuse a param they do not know.
   */
  readonly onlyWith?: string;
}

/** One method of the catalogue; its name is its key in the family's table. */
export interface CommandEntry<P extends z.ZodType = z.ZodType, R extends z.ZodType = z.ZodType> {
  /** One sentence for a person or a model choosing a method. */
  readonly summary: string;
  /** A strict object: a parameter not named here is refused. */
  readonly params: P;
  /** What a successful answer looks like; fields beyond it are passed on. */
  readonly result: R;
  /** The least access that may call it. `read` methods change nothing. */
  readonly access: Access;
  /** Whether agents take it whatever their ceiling: the hub's own business with them. */
  readonly beyondCeiling: boolean;
  readonly streams: Streams;
  /** How long the caller waits unless told otherwise. */
  readonly timeoutMs: number;
  /** The parameter (seconds) that decides how long the method takes on the server, if it has one. */
  readonly timeoutParam?: TimeoutParam;
  /** Whether it can destroy what cannot be got back. */
  readonly destructive: boolean;
  /** Whether calling it twice has the effect of calling it once. */
  readonly idempotent: boolean;
  /** Top-level params whose values never reach the audit. */
  readonly secrets: readonly string[];
  /** Params that need more access than the method, when they are given and not false. */
  readonly paramAccess: Readonly<Record<string, Access>>;
  /** Whether only the hub calls it, for a tool of its own. */
  readonly hubOnly: boolean;
  /**
   * Paths of the result, such as `Config.Env`, whose NAME=VALUE texts are shown without the values
   * unless the call has `reveal_env: true`. `*` in a path is every member of an object or a list; `**`
   * before its last name is any depth; `x-**` at its end leaves out whatever is named `x-...`, at any depth.
   */
  readonly environments: readonly string[];
}

type Defaulted =
  | 'beyondCeiling'
  | 'streams'
  | 'timeoutMs'
  | 'destructive'
  | 'idempotent'
  | 'secrets'
  | 'paramAccess'
  | 'hubOnly'
  | 'environments';
type CommandSpec<P extends z.ZodType, R extends z.ZodType> = Omit<CommandEntry<P, R>, Defaulted> &
  Partial<Pick<CommandEntry<P, R>, Defaulted>>;

const DEFAULT_TIMEOUT_MS = 30_000;

/** Completes an entry: 30 s, no streaming, not destructive, idempotent only if it is `read`. */
export function defineCommand<P extends z.ZodType, R extends z.ZodType>(
  spec: CommandSpec<P, R>,
): CommandEntry<P, R> {
  return {
    beyondCeiling: false,
    streams: 'none',
    timeoutMs: DEFAULT_TIMEOUT_MS,
    destructive: false,
    idempotent: spec.access === 'read',
    secrets: [],
    paramAccess: {},
    hubOnly: false,
    environments: [],
    ...spec,
  };
}
