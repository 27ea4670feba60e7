import { connect, type Socket } from 'node:net';
import {
  CancellationTokenSource,
  createMessageConnection,
  type MessageConnection,
  RequestType,
  ResponseError,
  SocketMessageReader,
  SocketMessageWriter,
} from 'vscode-jsonrpc/node';
import { z } from 'zod';
import { errorName, TomoError } from '../../protocol/errors.ts';
import type { Caller, Fleet } from './fleet.ts';
import type { ArgsOf, OperationName, OperationResult } from './operations.ts';
import { PERFORM_METHOD, type PerformParams } from './relay.ts';

/** The fleet of the process that owns the data directory, reached through its socket there. */
export class RemoteFleet implements Fleet, Disposable {
  /** Resolves when the owner has gone. */
  readonly closed: Promise<void>;
  readonly #connection: MessageConnection;
  readonly #socket: Socket;

  /** Rejects with a system error (ENOENT, ECONNREFUSED) if no owner listens there. */
  static connect(socketPath: string): Promise<RemoteFleet> {
    return new Promise((resolve, reject) => {
      const socket = connect(socketPath);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new RemoteFleet(socket));
      });
    });
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#connection = createMessageConnection(
      new SocketMessageReader(socket),
      new SocketMessageWriter(socket),
    );
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    // Disposing rejects what still waits for an answer.
    void this.closed.then(() => this.#connection.dispose());
    this.#connection.onError(() => socket.destroy());
    this.#connection.listen();
  }

  async perform<N extends OperationName>(
    name: N,
    args: ArgsOf<N>,
    { actor, access, signal }: Caller,
  ): Promise<OperationResult<N>> {
    const cancel = new CancellationTokenSource();
    const onAbort = (): void => cancel.cancel();
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    try {
      const type = new RequestType<PerformParams, OperationResult<N>, unknown>(PERFORM_METHOD);
      return await this.#connection.sendRequest(
        type,
        { name, args, caller: { actor, access } },
        cancel.token,
      );
    } catch (error) {
      throw relayedError(error);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      cancel.dispose();
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

const factsSchema = z.record(z.string(), z.unknown()).catch({});

function relayedError(error: unknown): TomoError {
  if (error instanceof ResponseError && Object.hasOwn(factsSchema.parse(error.data), 'facts')) {
    const { facts } = factsSchema.parse(error.data);
    return new TomoError(errorName(error.code), error.message, { facts: factsSchema.parse(facts) });
  }
  return new TomoError(
    'OWNER_UNREACHABLE',
    'The Tomo process that holds the agents ended during the call; another one is taking over. A command may have taken effect: check before you repeat it.',
    { cause: error },
  );
}
