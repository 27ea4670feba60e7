import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { type WebSocket, WebSocketServer } from 'ws';
import { TomoError, toTomoError } from '../../protocol/errors.ts';
import { CLOSE_CODES } from '../../protocol/handshake.ts';
import {
  FRAME_MAX_BYTES,
  HANDSHAKE_MAX_BYTES,
  HANDSHAKES_MAX_COUNT,
  HANDSHAKES_PER_ADDRESS_MAX_COUNT,
} from '../../protocol/limits.ts';
import type { TomoDatabase } from '../db/database.ts';
import { AdmissionRefused, type Admitted, admit } from './admission.ts';
import { AttemptLimiter } from './attempt-limiter.ts';
import { closeReason } from './close-reason.ts';
import type { TokenBearer } from './duplicates.ts';
import { firstMessage } from './first-message.ts';
import { RefusalLog } from './refusal-log.ts';
import { refuseUpgrade } from './refuse-upgrade.ts';
import { WaitingRoom } from './waiting-room.ts';

/** A socket in the handshake. */
interface Arrival {
  readonly socket: WebSocket;
  readonly stream: Duplex;
  readonly address: string;
}

/** A socket that is let in, paused until it is taken over, and the fleet's settings. */
export interface AdmittedArrival extends Arrival {
  readonly admitted: Admitted;
  readonly settings: Readonly<Record<string, string>>;
}

const ROOM = { max: HANDSHAKES_MAX_COUNT, perAddressMax: HANDSHAKES_PER_ADDRESS_MAX_COUNT };

interface ReceptionOptions {
  readonly db: Pick<TomoDatabase, 'agents' | 'settings'>;
  readonly log: Logger;
  readonly handshakeMs: number;
  readonly closeMs: number;
  /** Whom a request comes from. */
  readonly clientAddress: (request: IncomingMessage) => string;
  readonly onClone: (clone: TokenBearer) => void;
  readonly onAdmitted: (arrival: AdmittedArrival) => Promise<void>;
}

/** Sockets until they are admitted: upgrade, first message, refusal. */
export class Reception {
  readonly #options: ReceptionOptions;
  readonly #limiter = new AttemptLimiter();
  readonly #refusals: RefusalLog;
  readonly #sockets: WebSocketServer;
  /** Sockets that have not said anything yet. An agent speaks at once, so it does not lose its place. */
  readonly #silent = new WaitingRoom<Arrival>(ROOM);
  /** Refused ones that have not gone yet. */
  readonly #leaving = new WaitingRoom<Arrival>(ROOM);
  #deciding = 0;
  #steps: Promise<unknown> = Promise.resolve();
  #closing = false;
  #refused = 0;

  constructor(options: ReceptionOptions) {
    this.#options = options;
    this.#refusals = new RefusalLog(options.log);
    const serverOptions = {
      noServer: true,
      maxPayload: FRAME_MAX_BYTES,
      perMessageDeflate: false,
      clientTracking: true,
      closeTimeout: options.closeMs,
    };
    this.#sockets = new WebSocketServer(serverOptions);
  }

  /** Handshakes refused so far. */
  get refused(): number {
    return this.#refused;
  }

  accept(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const { log } = this.#options;
    const address = this.#options.clientAddress(request);
    // Only browsers send one: no page may spend the attempts of the address that it is opened at.
    if (request.headers.origin !== undefined) {
      this.#refused += 1;
      this.#refusals.record({ address, refusal: '403' });
      return refuseUpgrade(stream, '403 Forbidden');
    }
    if (this.#closing || this.#deciding >= HANDSHAKES_MAX_COUNT) {
      return refuseUpgrade(stream, '503 Service Unavailable');
    }
    this.#sockets.handleUpgrade(request, stream, head, (socket) => {
      // Faults of the WebSocket protocol (frame too large, bad UTF-8) close the socket by themselves.
      socket.on('error', (error) => log.debug({ err: error, address }, 'agent socket fault'));
      void this.#receive({ socket, stream, address });
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

  async #receive(arrival: Arrival): Promise<void> {
    try {
      const text = await this.#firstMessage(arrival);
      await this.#decide(() => this.#admit(text, arrival));
    } catch (error) {
      if (error !== undefined) await this.#refuse(arrival, error);
    }
  }

  async #firstMessage(arrival: Arrival): Promise<string> {
    const { socket, stream, address } = arrival;
    const evicted = this.#silent.enter(address, arrival);
    if (evicted !== undefined) this.#evict(evicted);
    try {
      return await firstMessage(socket, stream, this.#options.handshakeMs);
    } finally {
      this.#silent.leave(address, arrival);
    }
  }

  #evict({ socket, address }: Arrival): void {
    this.#refused += 1;
    this.#refusals.record({ address, refusal: 'LIMIT_REACHED' });
    socket.terminate();
  }

  async #decide(step: () => Promise<void>): Promise<void> {
    this.#deciding += 1;
    try {
      await this.exclusively(step);
    } finally {
      this.#deciding -= 1;
    }
  }

  async #admit(text: string, arrival: Arrival): Promise<void> {
    const { db, onAdmitted, onClone } = this.#options;
    // Read first: nothing may fail once the code is taken, or its token would be lost.
    const settings = await db.settings.all();
    // Admitted now, it would spend its code on a token that it never gets.
    if (arrival.socket.readyState !== arrival.socket.OPEN) return arrival.socket.resume();
    const deps = { agents: db.agents, limiter: this.#limiter, onClone };
    const admitted = await admit(deps, text, arrival.address);
    await onAdmitted({ ...arrival, admitted, settings });
  }

  /** Says why and closes; resolves when the socket is gone. */
  async #refuse(arrival: Arrival, cause: unknown): Promise<void> {
    const { socket, stream, address } = arrival;
    this.#refused += 1;
    const { error, closeCode } = cause instanceof AdmissionRefused ? cause : this.#fault(cause);
    this.#refusals.record({ address, refusal: error.name, close: closeCode });
    // Read on for the peer's answer to the close frame, but do not let it fill the memory meanwhile.
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength;
      if (bytes > HANDSHAKE_MAX_BYTES) socket.pause();
    });
    socket.resume();
    socket.send(JSON.stringify({ error: error.message, code: error.name }));
    socket.close(closeCode, closeReason(error.message));
    if (socket.readyState === socket.CLOSED) return;
    this.#leaving.enter(address, arrival)?.socket.terminate();
    await new Promise((resolve) => socket.once('close', resolve));
    this.#leaving.leave(address, arrival);
  }

  /** A first message that was not understood, or a fault of ours, after which redialling is right. */
  #fault(cause: unknown): AdmissionRefused {
    if (cause instanceof TomoError) return new AdmissionRefused(cause);
    this.#options.log.error({ err: cause }, 'handshake failed');
    return new AdmissionRefused(toTomoError(cause), CLOSE_CODES.INTERNAL_ERROR);
  }
}
