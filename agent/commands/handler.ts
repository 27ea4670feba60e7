import type { Method, ParamsOf, ResultOf } from '../../protocol/commands/catalogue.ts';

/** What a handler may know of the call it serves. */
export interface CommandContext {
  /** Aborted when the hub cancels the call or the agent stops: end the work, then throw. */
  readonly signal: AbortSignal;
  /** For what must not happen before the caller has its answer; not done if the call fails. */
  readonly afterAnswer: (act: () => void) => void;
}

/** Carries out one method. Params are parsed; errors for the caller are TomoErrors. */
export type Handler<M extends Method> = (
  params: ParamsOf<M>,
  context: CommandContext,
) => Promise<ResultOf<M>>;

/** One handler for every method of the catalogue. */
export type Handlers = { readonly [M in Method]: Handler<M> };
