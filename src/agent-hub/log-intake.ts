import type { Logger } from 'pino';
import {
  LOG_ACK_BACKLOG_MAX_MS,
  LOG_ACK_PAUSE_FACTOR,
  LOG_BATCH_MAX_BYTES,
  LOG_BATCHES_MAX_COUNT,
  LOGS_KEPT_MAX_BYTES,
} from '../../protocol/limits.ts';
import {
  type LogBatch,
  logBatchHeadSchema,
  logBatchSchema,
} from '../../protocol/log-collection.ts';
import type { TomoDatabase } from '../db/database.ts';
import type { LogBounds } from '../db/log-repository.ts';
import type { LogSettings } from './log-settings.ts';
import { plainText } from './plain-text.ts';

const MIB = 1024 * 1024;

interface Sender {
  settings: LogSettings;
  /** Batches that are not acknowledged. */
  pending: number;
  /** The batch that was not stored: nothing after it is, until it comes again. */
  refused?: number | undefined;
  /** That one of its batches is not valid is logged once. */
  wasInvalid?: true;
}

interface Source {
  readonly agentId: string;
  readonly serverId: string;
}

/**
 * Stores the log lines that agents push as they come, so that none wait in memory. How soon a batch is
 * acknowledged, and the next may come, depends on what it cost.
 */
export class LogIntake {
  readonly #logs: TomoDatabase['logs'];
  readonly #log: Logger;
  readonly #overallBytes: number;
  readonly #senders = new Map<string, Sender>();
  /** Monotonic ms at which the next acknowledgement may go out. */
  #readyAt = 0;
  #stored = 0;
  #refused = 0;
  #invalid = 0;

  constructor(logs: TomoDatabase['logs'], log: Logger, overallBytes = LOGS_KEPT_MAX_BYTES) {
    this.#logs = logs;
    this.#log = log;
    this.#overallBytes = overallBytes;
  }

  /** Lines stored, batches that were not and come again, and batches that cannot be. */
  get counters(): { readonly stored: number; readonly refused: number; readonly invalid: number } {
    return { stored: this.#stored, refused: this.#refused, invalid: this.#invalid };
  }

  /** What holds for an agent that has just connected: it sends all again that was not acknowledged. */
  welcome(agentId: string, settings: LogSettings): void {
    this.#senders.set(agentId, { settings, pending: 0 });
  }

  /** The same for a candidate that has taken its agent's place; what the older one was told is newer. */
  promoted(agentId: string, settings: LogSettings | undefined): void {
    const current = this.#senders.get(agentId)?.settings ?? settings;
    if (current !== undefined) this.welcome(agentId, current);
  }

  /** What holds for an agent from now on, if it is connected. */
  configure(agentId: string, settings: LogSettings): void {
    const sender = this.#senders.get(agentId);
    if (sender !== undefined) sender.settings = settings;
  }

  /** The agent is away. */
  forget(agentId: string): void {
    this.#senders.delete(agentId);
  }

  /** What may be kept of an agent. */
  bounds({ log_keep_mib }: LogSettings): LogBounds {
    return { agentBytes: log_keep_mib * MIB, overallBytes: this.#overallBytes };
  }

  /** Takes the params of `logs.push`. Whether that was asked for. */
  take(source: Source, params: unknown, bytes: number, ack: (batch: number) => void): boolean {
    const sender = this.#senders.get(source.agentId);
    if (sender === undefined || sender.settings.log_collection === 'off') return false;
    if (bytes > LOG_BATCH_MAX_BYTES || sender.pending >= LOG_BATCHES_MAX_COUNT) return false;
    const received = this.#parse(source, sender, params);
    if (received === undefined) return false;
    const { batch } = received;
    if (sender.refused !== undefined && sender.refused !== batch) return true;
    if (this.#readyAt - performance.now() > LOG_ACK_BACKLOG_MAX_MS) {
      this.#refuse(sender, batch);
      return true;
    }
    sender.refused = undefined;
    sender.pending += 1;
    void this.#store(source, sender, received, ack);
    return true;
  }

  /** One that cannot be valid when it comes again is noted as one without lines: the next are not held up. */
  #parse({ serverId }: Source, sender: Sender, params: unknown): LogBatch | undefined {
    const { data, error } = logBatchSchema.safeParse(params);
    if (data !== undefined) return data;
    const head = logBatchHeadSchema.safeParse(params).data;
    if (head === undefined) return undefined;
    this.#invalid += 1;
    if (sender.wasInvalid !== true) {
      sender.wasInvalid = true;
      const [issue] = error.issues;
      const detail = { server: serverId, batch: head.batch, path: issue?.path, fault: issue?.code };
      this.#log.warn(detail, 'a batch of log lines is not valid and is lost');
    }
    return { ...head, containers: [], lines: [] };
  }

  async #store(
    { agentId, serverId }: Source,
    sender: Sender,
    batch: LogBatch,
    ack: (batch: number) => void,
  ): Promise<void> {
    const startedAt = performance.now();
    try {
      const storing = this.#logs.store(
        { agentId, serverId, ...plain(batch) },
        this.bounds(sender.settings),
      );
      this.#pace(performance.now() - startedAt, () => {
        sender.pending -= 1;
        if (sender.refused === undefined) ack(batch.batch);
      });
      this.#stored += await storing;
    } catch (error) {
      this.#refuse(sender, batch.batch);
      this.#log.error({ err: error, server: serverId }, 'log lines could not be stored');
    }
  }

  /** The agent sends it again after some time. */
  #refuse(sender: Sender, batch: number): void {
    sender.refused ??= batch;
    this.#refused += 1;
  }

  #pace(spentMs: number, done: () => void): void {
    const now = performance.now();
    this.#readyAt = Math.max(now, this.#readyAt) + spentMs * LOG_ACK_PAUSE_FACTOR;
    setTimeout(done, this.#readyAt - now).unref();
  }
}

function plain({ containers, lines, ...rest }: LogBatch): LogBatch {
  return {
    ...rest,
    containers: containers.map(({ id, name }) => ({ id: plainText(id), name: plainText(name) })),
    lines: lines.map((line) => ({ ...line, text: plainText(line.text) })),
  };
}
