import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
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
import { type Caller, CallerGone, type Fleet } from './fleet.ts';
import type { ArgsOf, OperationName, OperationResult, OwnerInfo } from './operations.ts';
import { PERFORM_METHOD, type PerformParams, PING_METHOD, PROGRESS_METHOD } from './relay.ts';

/** How often the owner is asked for a sign of life, and how long it may take to give it. */
const PING_EVERY_MS = 2_000;
const PING_MAX_MS = 8_000;
/** How long an owner may take to say who it is. */
const HELLO_MAX_MS = 2_000;

/** The fleet of the process that owns the data directory, reached through its socket there. */
export class RemoteFleet implements Fleet, Disposable {
  /** Resolves when the owner has gone, or no longer answers. */
  readonly closed: Promise<void>;
  readonly owner: OwnerInfo;
  readonly #connection: MessageConnection;
  readonly #socket: Socket;
  readonly #progress = new Map<string, NonNullable<Caller['progress']>>();

  /** Rejects if no owner listens there, or it does not answer. */
  static async connect(socketPath: string): Promise<RemoteFleet> {
    const socket = connect(socketPath);
    await once(socket, 'connect');
    const connection = createMessageConnection(
      new SocketMessageReader(socket),
      new SocketMessageWriter(socket),
    );
    connection.onError(() => socket.destroy());
    connection.listen();
    try {
      const params = {
        name: 'describe_owner',
        args: {},
        caller: { actor: 'local', access: 'read' },
      };
      const owner = connection.sendRequest<OwnerInfo>(PERFORM_METHOD, params);
      return new RemoteFleet(socket, connection, await within(owner, HELLO_MAX_MS));
    } catch (error) {
      socket.destroy();
      connection.dispose();
      throw error;
    }
  }

  private constructor(socket: Socket, connection: MessageConnection, owner: OwnerInfo) {
    this.#socket = socket;
    this.#connection = connection;
    this.owner = owner;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    connection.onNotification(PROGRESS_METHOD, (params: unknown) => {
      const { id, message, fraction } = progressSchema.parse(params);
      this.#progress.get(id)?.(message, fraction);
    });
    const timer = setInterval(() => void this.#ping(), PING_EVERY_MS);
    timer.unref();
    void this.closed.then(() => {
      clearInterval(timer);
      // Disposing rejects what still waits for an answer.
      connection.dispose();
    });
  }

  async perform<N extends OperationName>(
    name: N,
    args: ArgsOf<N>,
    { actor, access, origin, signal, progress }: Caller,
  ): Promise<OperationResult<N>> {
    refuseUnencodable(args);
    const cancel = new CancellationTokenSource();
    // What a caller that is gone began goes on.
    const onAbort = (): void => {
      if (!CallerGone.is({ signal })) cancel.cancel();
    };
    const id = progress === undefined ? undefined : randomUUID();
    if (id !== undefined && progress !== undefined) this.#progress.set(id, progress);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    try {
      const type = new RequestType<PerformParams, OperationResult<N>, unknown>(PERFORM_METHOD);
      return await this.#connection.sendRequest(
        type,
        {
          name,
          args,
          caller: { actor, access, origin },
          ...(id === undefined ? {} : { progress: id }),
        },
        cancel.token,
      );
    } catch (error) {
      throw relayedError(error);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      cancel.dispose();
      if (id !== undefined) this.#progress.delete(id);
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  /** A stopped process keeps its sockets open and answers nothing. */
  async #ping(): Promise<void> {
    try {
      await within(this.#connection.sendRequest(PING_METHOD), PING_MAX_MS);
    } catch {
      this.#socket.destroy();
    }
  }
}

async function within<T>(work: Promise<T>, ms: number): Promise<T> {
  const late = new AbortController();
  const timeout = delay(ms, undefined, { signal: late.signal, ref: false }).then(() => {
    throw new Error('no answer in time');
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    late.abort();
    timeout.catch(() => undefined);
    work.catch(() => undefined);
  }
}

const progressSchema = z.object({
  id: z.string(),
  message: z.string(),
  fraction: z.number().optional(),
});

const factsSchema = z.record(z.string(), z.unknown()).catch({});

function relayedError(error: unknown): TomoError {
  if (error instanceof ResponseError && Object.hasOwn(factsSchema.parse(error.data), 'facts')) {
    const { facts } = factsSchema.parse(error.data);
    return new TomoError(errorName(error.code), error.message, { facts: factsSchema.parse(facts) });
  }
  return new TomoError(
    'OWNER_UNREACHABLE',
    'The Tomo process that holds the agents ended during the call; another one is taking over. A command may have taken effect and goes on: get_command_history shows it. Check before you repeat it.',
    { cause: error },
  );
}

/** A message that cannot be written would end the connection, and with it all calls under way. */
function refuseUnencodable(args: object): void {
  try {
    JSON.stringify(args);
  } catch (cause) {
    throw new TomoError(
      'INVALID_PARAMS',
      'The arguments nest too deeply or are too large to be passed on; nothing was done.',
      { cause },
    );
  }
}
