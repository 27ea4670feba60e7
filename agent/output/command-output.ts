import { StringDecoder } from 'node:string_decoder';
import type { Streams } from '../../protocol/commands/define-command.ts';
import { encodeNotification, PROGRESS_METHOD } from '../../protocol/json-rpc.ts';
import { LIFE_SIGN_INTERVAL_MS, OUTPUT_INTERVAL_MS } from '../../protocol/limits.ts';
import type { CommandOutput } from '../commands/handler.ts';
import { Gate } from './gate.ts';
import type { Outlet } from './outlet.ts';
import { OutputQueue, type OutputStream } from './output-queue.ts';
import { type Step, step } from './progress-step.ts';

export interface OutputTimings {
  readonly lifeSignMs: number;
  /** How long output gathers of commands of which the newest counts, and small output of lossless ones. */
  readonly newestMs: number;
  readonly losslessMs: number;
  readonly stepMs: number;
}

interface OutputOptions {
  readonly id: string;
  readonly mode: Streams;
  /** Of the command: what is not sent when it aborts never is. */
  readonly signal: AbortSignal;
  readonly timings?: Partial<OutputTimings>;
}

const DEFAULT_TIMINGS: OutputTimings = {
  lifeSignMs: LIFE_SIGN_INTERVAL_MS,
  newestMs: OUTPUT_INTERVAL_MS,
  losslessMs: 50,
  stepMs: 250,
};

// Small pieces cost the hub as much as large ones: so many go at one time, the next an interval later.
const SMALL_PIECE_BYTES = 16 * 1024;
const PIECES_AT_ONCE_COUNT = 64;

/**
 * What one command says while it runs, and afterwards what the hub has not acknowledged of it. Its
 * messages go one after the other, each when the socket took the one before, so that those of other
 * commands come between.
 */
export class RunningOutput implements CommandOutput {
  readonly #id: string;
  readonly #mode: Streams;
  readonly #signal: AbortSignal;
  readonly #queue: OutputQueue;
  readonly #decoders = { stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8') };
  readonly #gathered: Gate;
  readonly #stepDue: Gate;
  readonly #life: NodeJS.Timeout;
  /** Of a hub that takes messages of commands. */
  #outlet: Outlet | undefined;
  /** The hub there takes none. */
  #isMuted = false;
  /** Its command has; what is lossless may still be on its way. */
  #isEnding = false;
  #isEnded = false;
  #isSending = false;
  #isSignDue = false;
  #seq = 0;
  #step: Step | undefined;
  /** How many of the gathered pieces may still go before more is gathered. */
  #allowed = 0;
  #moved = Promise.withResolvers<void>();

  constructor({ id, mode, signal, timings }: OutputOptions) {
    const times = { ...DEFAULT_TIMINGS, ...timings };
    const isLossless = mode === 'lossless';
    this.#id = id;
    this.#mode = mode;
    this.#signal = signal;
    this.#queue = new OutputQueue({ isLossless });
    const pump = (): void => {
      this.#pump();
    };
    const gatherMs = isLossless ? times.losslessMs : times.newestMs;
    this.#gathered = new Gate(gatherMs, pump, { isOpen: isLossless });
    this.#stepDue = new Gate(times.stepMs, pump);
    this.#life = setInterval(() => {
      this.#isSignDue = !this.#isSending;
      this.#pump();
    }, times.lifeSignMs).unref();
    const discard = (): void => {
      this.discard();
    };
    signal.addEventListener('abort', discard, { once: true });
  }

  /** The number of the next message. */
  get seq(): number {
    return this.#seq;
  }

  /** Bytes that it holds. */
  get bytes(): number {
    return this.#queue.bytes;
  }

  /** @throws what the command is aborted with, if its output is lossless */
  async write(stream: OutputStream, data: Buffer): Promise<void> {
    if (this.#mode === 'none' || this.#isEnded) return;
    this.#append(stream, this.#decoders[stream].write(data));
    if (this.#mode === 'newest') return;
    this.#signal.throwIfAborted();
    while (!this.#queue.hasRoom) {
      await this.#moved.promise;
      this.#signal.throwIfAborted();
    }
  }

  progress(message: string, fraction?: number): void {
    if (this.#isEnded || this.#isMuted) return;
    this.#step = step(message, fraction);
    this.#stepDue.arm();
    this.#pump();
  }

  /** Sends there from now on, first again what is not acknowledged; undefined: nowhere. */
  attach(outlet: Outlet | undefined): void {
    this.#isMuted = outlet !== undefined && outlet.streamWindowBytes === undefined;
    this.#outlet = this.#isMuted ? undefined : outlet;
    this.#isSending = false;
    this.#queue.rewind();
    if (this.#isMuted) this.discard();
    else this.#wake();
    this.#pump();
  }

  ack(position: number): void {
    this.#queue.ack(position);
    this.#wake();
    this.#pump();
  }

  /** No more comes. Resolves when all of a lossless output was sent; of any other the rest is thrown away. */
  async end(): Promise<void> {
    this.#isEnding = true;
    if (this.#mode === 'lossless') {
      for (const stream of ['stdout', 'stderr'] as const) {
        this.#append(stream, this.#decoders[stream].end());
      }
      while (this.#queue.unsentCount > 0) await this.#moved.promise;
    }
    this.#isEnded = true;
    this.#step = undefined;
    if (this.#mode !== 'lossless') this.#queue.clear();
    clearInterval(this.#life);
    this.#gathered[Symbol.dispose]();
    this.#stepDue[Symbol.dispose]();
  }

  /** Of a command that has ended: sends again what is not acknowledged, until another outlet is attached. */
  async sendAgain(outlet: Outlet): Promise<void> {
    this.attach(outlet);
    while (this.#queue.unsentCount > 0 && this.#outlet === outlet) await this.#moved.promise;
  }

  /** Throws away what is not sent or not acknowledged. */
  discard(): void {
    this.#queue.clear();
    this.#step = undefined;
    this.#wake();
  }

  #append(stream: OutputStream, text: string): void {
    this.#queue.append(stream, text);
    if (this.#isMuted || this.#signal.aborted) this.#queue.clear();
    this.#pump();
  }

  /** For those who wait for room, or until all was sent. */
  #wake(): void {
    this.#moved.resolve();
    this.#moved = Promise.withResolvers<void>();
  }

  #pump(): void {
    const outlet = this.#outlet;
    if (outlet === undefined || this.#isSending) return;
    const message = this.#next(outlet.streamWindowBytes ?? 0);
    if (message === undefined) return;
    this.#isSending = true;
    this.#isSignDue = false;
    if (!this.#isEnded) this.#life.refresh();
    outlet.send(encodeNotification(PROGRESS_METHOD, { id: this.#id, ...message }), () => {
      if (this.#outlet !== outlet) return;
      this.#isSending = false;
      this.#pump();
    });
    if (this.#queue.unsentCount === 0) this.#wake();
  }

  #next(windowBytes: number): object | undefined {
    if (this.#step !== undefined && this.#stepDue.isOpen) {
      const message = { seq: this.#nextSeq(), ...this.#step };
      this.#step = undefined;
      this.#stepDue.close();
      return message;
    }
    const piece = this.#mayGo() ? this.#queue.take(windowBytes) : undefined;
    if (piece !== undefined) {
      piece.seq ??= this.#nextSeq();
      const { seq, stream, text, at } = piece;
      return { seq, stream, data: text, at };
    }
    return this.#isSignDue ? { seq: this.#nextSeq() } : undefined;
  }

  /** Whether the next piece may go before more is gathered. */
  #mayGo(): boolean {
    const { unsentCount, nextBytes } = this.#queue;
    if (unsentCount === 0) return false;
    const isLossless = this.#mode === 'lossless';
    if (isLossless && (this.#isEnding || nextBytes >= SMALL_PIECE_BYTES)) return true;
    if (!this.#gathered.isOpen) {
      this.#gathered.arm();
      return false;
    }
    this.#allowed ||= Math.min(unsentCount, PIECES_AT_ONCE_COUNT);
    this.#allowed -= 1;
    if (this.#allowed > 0) return true;
    this.#gathered.close();
    // The first after a while goes at once.
    if (isLossless) this.#gathered.arm();
    return true;
  }

  #nextSeq(): number {
    return this.#seq++;
  }
}
