import { randomUUID } from 'node:crypto';
import { LOGS_ACK_METHOD, LOGS_METHOD } from '../../protocol/json-rpc.ts';
import {
  LOG_BATCH_INTERVAL_MS,
  LOG_BATCHES_MAX_COUNT,
  RESEND_AFTER_MS,
} from '../../protocol/limits.ts';
import { type LogBatch, logsAckSchema } from '../../protocol/log-collection.ts';
import { orAborted } from '../docker/or-aborted.ts';
import type { Feed, Notify } from '../feed.ts';
import { type CollectedLine, lineBytes, OpenBatch } from './open-batch.ts';

export interface LogFeedOptions {
  /** A session has begun. */
  readonly onAttached: () => void;
  /** The hub has stored these lines and all before them. */
  readonly onStored: (lines: readonly CollectedLine[]) => void;
  readonly intervalMs?: number;
  readonly resendMs?: number;
}

interface SentBatch {
  readonly params: LogBatch;
  /** The last line of each output of each container. */
  readonly last: readonly CollectedLine[];
}

/**
 * Pushes log lines to the hub in batches, of which only a few are on their way: whoever reads the logs
 * waits for room.
 */
export class LogFeed implements Feed, Disposable {
  readonly #options: Required<LogFeedOptions>;
  readonly #epoch = randomUUID();
  /** Not acknowledged, oldest first. */
  #sent: SentBatch[] = [];
  /** How many of these went out since the session began, or since they were to be sent again. */
  #out = 0;
  #open = new OpenBatch();
  #batch = 0;
  #notify: Notify | undefined;
  #gathering: NodeJS.Timeout | undefined;
  #isDue = false;
  /** At the beginning of a session one, so that many agents do not flood a hub that has just started. */
  #window = 1;
  #room = Promise.withResolvers<void>();
  #acknowledgedAt = performance.now();
  readonly #resending: NodeJS.Timeout;

  constructor(options: LogFeedOptions) {
    this.#options = { intervalMs: LOG_BATCH_INTERVAL_MS, resendMs: RESEND_AFTER_MS, ...options };
    const { resendMs } = this.#options;
    this.#resending = setInterval(() => this.#resend(), resendMs).unref();
  }

  attach(notify: Notify): () => void {
    this.#notify = notify;
    this.#window = 1;
    this.#sendAgain();
    this.#options.onAttached();
    return () => {
      if (this.#notify === notify) this.#notify = undefined;
    };
  }

  notified(method: string, params: unknown): void {
    const ack = method === LOGS_ACK_METHOD ? logsAckSchema.safeParse(params).data : undefined;
    if (ack === undefined) return;
    const stored = this.#sent.filter(({ params: { batch } }) => batch <= ack.batch);
    if (stored.length === 0) return;
    this.#sent = this.#sent.slice(stored.length);
    this.#acknowledgedAt = performance.now();
    for (const { last } of stored) this.#options.onStored(last);
    this.#out = Math.max(0, this.#out - stored.length);
    this.#window = LOG_BATCHES_MAX_COUNT;
    this.#send();
    this.#seal();
  }

  /** Takes a line; resolves when there is room for the next. Rejects when `signal` aborts before. */
  async put(line: CollectedLine, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const bytes = lineBytes(line);
    while (!this.#open.fits(bytes)) {
      this.#isDue = true;
      this.#seal();
      if (!this.#open.isEmpty) await orAborted(this.#room.promise, signal);
    }
    this.#open.add(line, bytes);
    this.#gathering ??= setTimeout(() => {
      this.#isDue = true;
      this.#seal();
    }, this.#options.intervalMs).unref();
  }

  /** What is not acknowledged is thrown away. */
  clear(): void {
    this.#sent = [];
    this.#out = 0;
    this.#begin();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#resending);
    this.clear();
  }

  /** The batch that gathers goes out, if it is time and there is room on the way. */
  #seal(): void {
    if (!this.#isDue || this.#open.isEmpty || this.#sent.length >= this.#window) return;
    if (this.#sent.length === 0) this.#acknowledgedAt = performance.now();
    this.#batch += 1;
    const { containers, lines, last } = this.#open;
    const params = { epoch: this.#epoch, batch: this.#batch, containers, lines };
    this.#sent.push({ params, last });
    this.#begin();
    this.#send();
  }

  #begin(): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    this.#isDue = false;
    this.#open = new OpenBatch();
    this.#room.resolve();
    this.#room = Promise.withResolvers();
  }

  #resend(): void {
    const waitedMs = performance.now() - this.#acknowledgedAt;
    if (waitedMs < this.#options.resendMs) return;
    this.#window = 1;
    this.#sendAgain();
  }

  #sendAgain(): void {
    this.#out = 0;
    this.#send();
  }

  /** In their order, what has not gone out and may. */
  #send(): void {
    for (const { params } of this.#sent.slice(this.#out, this.#window)) {
      this.#notify?.(LOGS_METHOD, params);
      this.#out += 1;
    }
  }
}
