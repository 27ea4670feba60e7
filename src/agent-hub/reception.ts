import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { type WebSocket, WebSocketServer } from 'ws';
import { TomoError, toTomoError } from '../../protocol/errors.ts';
import { CLOSE_CODES } from '../../protocol/handshake.ts';
import { FRAME_MAX_BYTES, HANDSHAKES_MAX_COUNT } from '../../protocol/limits.ts';
import type { AgentRepository } from '../db/agent-repository.ts';
import { AdmissionRefused, type Admitted, admit } from './admission.ts';
import { AttemptLimiter } from './attempt-limiter.ts';
import { closeReason } from './close-reason.ts';
import { firstMessage } from './first-message.ts';

interface ReceptionOptions {
  readonly agents: AgentRepository;
  readonly log: Logger;
  readonly handshakeMs: number;
  /** Takes over an admitted socket, which is paused until then. */
  readonly onAdmitted: (
    admitted: Admitted,
    socket: WebSocket,
    stream: Duplex,
    address: string,
  ) => Promise<void>;
}

/** Sockets until they are admitted: upgrade, first message, refusal. */
export class Reception {
  readonly #options: ReceptionOptions;
  readonly #limiter = new AttemptLimiter();
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: FRAME_MAX_BYTES,
    perMessageDeflate: false,
    clientTracking: true,
  });
  #waiting = 0;
  #steps: Promise<unknown> = Promise.resolve();
  #closing = false;
  #refused = 0;

  constructor(options: ReceptionOptions) {
    this.#options = options;
  }

  /** Handshakes refused so far. */
  get refused(): number {
    return this.#refused;
  }

  accept(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    if (this.#closing || this.#waiting >= HANDSHAKES_MAX_COUNT) {
      stream.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n');
      return;
    }
    const { log } = this.#options;
    const address = request.socket.remoteAddress ?? 'unknown';
    this.#sockets.handleUpgrade(request, stream, head, (socket) => {
      // Faults of the WebSocket protocol (frame too large, bad UTF-8) close the socket by themselves.
      socket.on('error', (error) => log.debug({ err: error, address }, 'agent socket fault'));
      void this.#receive(socket, stream, address);
    });
  }

  /** Admissions and revocations one after the other, so that neither slips between another's steps. */
  exclusively<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#steps.then(step);
    this.#steps = done.catch(() => undefined);
    return done;
  }

  /** Takes no more sockets and tells those that wait to come back. */
  close(): void {
    this.#closing = true;
    for (const socket of this.#sockets.clients) socket.close(CLOSE_CODES.SERVICE_RESTART);
    this.#sockets.close();
  }

  terminate(): void {
    for (const socket of this.#sockets.clients) socket.terminate();
  }

  async #receive(socket: WebSocket, stream: Duplex, address: string): Promise<void> {
    const { agents, handshakeMs, onAdmitted } = this.#options;
    this.#waiting += 1;
    try {
      const text = await firstMessage(socket, stream, handshakeMs);
      await this.exclusively(async () => {
        const admitted = await admit({ agents, limiter: this.#limiter }, text, address);
        await onAdmitted(admitted, socket, stream, address);
      });
    } catch (error) {
      if (error !== undefined) this.#refuse(socket, error);
    } finally {
      this.#waiting -= 1;
    }
  }

  #refuse(socket: WebSocket, cause: unknown): void {
    this.#refused += 1;
    const { error, closeCode } = cause instanceof AdmissionRefused ? cause : this.#fault(cause);
    socket.resume();
    socket.send(JSON.stringify({ error: error.message, code: error.name }));
    socket.close(closeCode, closeReason(error.message));
  }

  /** A first message that was not understood, or a fault of ours, after which redialling is right. */
  #fault(cause: unknown): AdmissionRefused {
    if (cause instanceof TomoError) return new AdmissionRefused(cause);
    this.#options.log.error({ err: cause }, 'handshake failed');
    return new AdmissionRefused(toTomoError(cause), CLOSE_CODES.INTERNAL_ERROR);
  }
}
