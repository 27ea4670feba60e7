import type { Method, ParamsOf, ResultOf } from '../../protocol/commands/catalogue.ts';

/** Where a command's output goes while it runs; see `streams` of the catalogue. */
export interface CommandOutput {
  /**
   * Takes bytes of one output, in order of arrival over both, whole characters or not. Of a `lossless`
   * method it resolves when there is room for more: read the source no further before that. Of a
   * `newest` one it resolves at once. Of any other it does nothing.
   */
  write(stream: 'stdout' | 'stderr', data: Buffer): Promise<void>;
  /** A line for people on how far the work is, 0 to 1 if that is known; of several the last counts. */
  progress(message: string, fraction?: number): void;
}

/** What a handler may know of the call it serves. */
export interface CommandContext {
  /** Aborted when the hub cancels the call or the agent stops: end the work, then throw. */
  readonly signal: AbortSignal;
  /** For what must not happen before the caller has its answer; not done if the call fails. */
  readonly afterAnswer: (act: () => void) => void;
  readonly output: CommandOutput;
}

/** Carries out one method. Params are parsed; errors for the caller are TomoErrors. */
export type Handler<M extends Method> = (
  params: ParamsOf<M>,
  context: CommandContext,
) => Promise<ResultOf<M>>;

/** One handler for every method of the catalogue. */
export type Handlers = { readonly [M in Method]: Handler<M> };
