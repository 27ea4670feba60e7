import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import {
  type CancellationToken,
  createMessageConnection,
  type MessageConnection,
  ResponseError,
  SocketMessageReader,
  SocketMessageWriter,
} from 'vscode-jsonrpc/node';
import { z } from 'zod';
import { type Access, accessSchema, lowerAccess } from '../../protocol/access.ts';
import { TomoError, toTomoError } from '../../protocol/errors.ts';
import { CallerGone, type Fleet } from './fleet.ts';
import { isOperation, parseArgs } from './operations.ts';
import { answerEncoder } from './relay-encoding.ts';

/** How long closing waits for answers that are still to come. */
const ANSWERS_MAX_MS = 300;
/** How far an operation is, to the process that asked for it. */
export const PROGRESS_METHOD = 'fleet/progress';
/** The owner's last word on a socket. */
const GOODBYE_METHOD = 'fleet/goodbye';
/** Asks the owner for a sign of life. */
export const PING_METHOD = 'fleet/ping';
/** Performs an operation of `Fleet` in the owner's process. */
export const PERFORM_METHOD = 'fleet/perform';

const performSchema = z.object({
  name: z.string().refine(isOperation, 'no such operation'),
  args: z.unknown(),
  caller: z.object({ actor: z.string(), access: accessSchema, origin: z.string().optional() }),
  /** Under which progress is told; absent if nobody listens. */
  progress: z.string().optional(),
});
export type PerformParams = z.input<typeof performSchema>;

interface Served {
  readonly fleet: Fleet;
  /** The most that other processes may do. */
  readonly ceiling: Access;
}

/** Lets other processes of the same user and data directory use this process's fleet. */
export class Relay implements AsyncDisposable {
  readonly #server: Server;
  readonly #peers = new Map<Socket, MessageConnection>();
  readonly #performing = new Set<Promise<unknown>>();
  readonly #served: Served;
  readonly #log: Logger;

  /** Listens at `socketPath`; to be called by the holder of the data directory's lock only. */
  static async listen(served: Served, socketPath: string, log: Logger): Promise<Relay> {
    const relay = new Relay(served, log);
    // Whoever holds the lock may remove what a killed owner left behind.
    if (process.platform !== 'win32') rmSync(socketPath, { force: true });
    await new Promise<void>((resolve, reject) => {
      relay.#server.once('error', reject);
      relay.#server.listen(socketPath, resolve);
    });
    if (process.platform !== 'win32') chmodSync(socketPath, 0o600);
    return relay;
  }

  private constructor(served: Served, log: Logger) {
    this.#served = served;
    this.#log = log;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    // Answers go out before the sockets end: a notification is written after all that came before.
    const answered = Promise.allSettled(this.#performing);
    await Promise.race([answered, delay(ANSWERS_MAX_MS, undefined, { ref: false })]);
    for (const [socket, connection] of this.#peers) {
      await connection.sendNotification(GOODBYE_METHOD).catch(() => undefined);
      socket.destroySoon();
    }
    await closed;
  }

  #serve(socket: Socket): void {
    const connection = createMessageConnection(
      new SocketMessageReader(socket),
      new SocketMessageWriter(socket, { contentTypeEncoder: answerEncoder }),
    );
    this.#peers.set(socket, connection);
    const gone = new AbortController();
    socket.on('error', (error) => this.#log.debug({ err: error }, 'relay socket fault'));
    socket.once('close', () => {
      this.#peers.delete(socket);
      gone.abort(new CallerGone());
      connection.dispose();
    });
    connection.onError(() => socket.destroy());
    connection.onRequest(PING_METHOD, () => null);
    connection.onRequest(PERFORM_METHOD, (params: unknown, token: CancellationToken) => {
      const performing = this.#perform(connection, params, token, gone.signal);
      this.#performing.add(performing);
      return performing.finally(() => this.#performing.delete(performing));
    });
    connection.listen();
  }

  async #perform(
    connection: MessageConnection,
    params: unknown,
    token: CancellationToken,
    gone: AbortSignal,
  ): Promise<unknown> {
    const cancelled = new AbortController();
    const onCancel = token.onCancellationRequested(() => cancelled.abort());
    try {
      const { name, args, caller, progress: id } = performSchema.parse(params);
      const signal = AbortSignal.any([gone, cancelled.signal]);
      const { fleet, ceiling } = this.#served;
      const access = lowerAccess(caller.access, ceiling);
      const progress = (message: string, fraction?: number): void => {
        // A listener that has gone needs no progress.
        void connection
          .sendNotification(PROGRESS_METHOD, { id, message, fraction })
          .catch(() => undefined);
      };
      const { actor, origin } = caller;
      return await fleet.perform(name, parseArgs(name, args), {
        actor,
        ...(origin === undefined ? {} : { origin }),
        access,
        signal,
        ...(id === undefined ? {} : { progress }),
      });
    } catch (cause) {
      const error = toTomoError(cause);
      if (!(cause instanceof TomoError)) this.#log.error({ err: cause }, 'relayed call failed');
      return new ResponseError(error.code, error.message, { facts: error.facts });
    } finally {
      onCancel.dispose();
    }
  }
}
