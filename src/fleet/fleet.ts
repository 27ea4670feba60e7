import type { Access } from '../../protocol/access.ts';
import type { ArgsOf, OperationName, OperationResult } from './operations.ts';

/** On whose behalf an operation is performed. */
export interface Caller {
  /** Who, for the audit: `stdio`, `http` (the token of the data directory), `local`, `token:NAME`. */
  readonly actor: string;
  /** The address it came from, if it came over the network. */
  readonly origin?: string;
  /** SHA-256 (hex) of the token it came with, if that may be removed meanwhile. */
  readonly tokenHash?: string;
  /** The most this caller may do. */
  readonly access: Access;
  /**
   * Aborted when the caller gives up: what it asked for is stopped. With a `CallerGone` as its reason
   * nobody waits any more, but commands go on.
   */
  readonly signal?: AbortSignal;
  /** Told of the steps of a long operation, and how far it is (0 to 1) if that is known. */
  readonly progress?: (message: string, fraction?: number) => void;
}

/**
 * What can be done with agents, wherever they are connected: in this process or in the process that
 * owns the data directory. Throws TomoErrors.
 */
export interface Fleet {
  perform<N extends OperationName>(
    name: N,
    args: ArgsOf<N>,
    caller: Caller,
  ): Promise<OperationResult<N>>;
}

/** Why a caller's signal is aborted that did not cancel: its connection closed. */
export class CallerGone extends Error {
  override readonly name = 'CallerGone';

  constructor() {
    super('The connection of the caller closed.');
  }

  /** Whether nobody waits any more. */
  static is({ signal }: { readonly signal?: AbortSignal | undefined }): boolean {
    return signal?.reason instanceof CallerGone;
  }
}
