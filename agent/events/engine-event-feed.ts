import { EVENT_METHOD, EVENTS_ACK_METHOD } from '../../protocol/json-rpc.ts';
import {
  EVENTS_BURST_COUNT,
  EVENTS_HELD_MAX_COUNT,
  EVENTS_PER_MINUTE_COUNT,
  EVENTS_SUMMARY_INTERVAL_MS,
  RESEND_AFTER_MS,
} from '../../protocol/limits.ts';
import { eventsAckSchema } from '../../protocol/telemetry.ts';
import type { Feed, Notify } from '../feed.ts';
import type { EngineEvents, EngineNews } from './engine-events.ts';
import { EventTally } from './event-tally.ts';

export interface EngineEventFeedOptions {
  readonly events: EngineEvents;
  readonly burstCount?: number;
  readonly perMinuteCount?: number;
  readonly heldMaxCount?: number;
  readonly summaryMs?: number;
  readonly resendMs?: number;
}

/** An event as it is told: the detail stands beside its type. */
export type Report = { readonly type: string } & Readonly<Record<string, unknown>>;
const MINUTE_MS = 60_000;

/** Tells the hub of the engine's events, each once: some at once, the rest as a count of each kind. */
export class EngineEventFeed implements Feed, Disposable {
  readonly #options: Required<EngineEventFeedOptions>;
  readonly #tally = new EventTally();
  readonly #timers: NodeJS.Timeout[];
  readonly #unsubscribe: () => void;
  #wasDown = false;
  /** Not acknowledged, oldest first. */
  readonly #held = new Map<number, Report>();
  #notify: Notify | undefined;
  #seq = 0;
  #allowance: number;
  #allowedAt = performance.now();
  #acknowledgedAt = performance.now();

  constructor(options: EngineEventFeedOptions) {
    this.#options = {
      burstCount: EVENTS_BURST_COUNT,
      perMinuteCount: EVENTS_PER_MINUTE_COUNT,
      heldMaxCount: EVENTS_HELD_MAX_COUNT,
      summaryMs: EVENTS_SUMMARY_INTERVAL_MS,
      resendMs: RESEND_AFTER_MS,
      ...options,
    };
    const { events, burstCount, summaryMs, resendMs } = this.#options;
    this.#allowance = burstCount;
    this.#unsubscribe = events.on((news) => this.#heard(news));
    this.#timers = [
      setInterval(() => this.#summarise(), summaryMs).unref(),
      setInterval(() => this.#resend(), resendMs).unref(),
    ];
  }

  attach(notify: Notify): () => void {
    this.#options.events.start();
    this.#notify = notify;
    this.#sendAll();
    return () => {
      if (this.#notify === notify) this.#notify = undefined;
    };
  }

  notified(method: string, params: unknown): void {
    const ack = method === EVENTS_ACK_METHOD ? eventsAckSchema.safeParse(params).data : undefined;
    if (ack === undefined) return;
    this.#acknowledgedAt = performance.now();
    for (const seq of this.#held.keys()) {
      if (seq > ack.seq) break;
      this.#held.delete(seq);
    }
  }

  /** Tells the hub of something else, which is not counted against the engine's events. */
  report(report: Report): void {
    if (this.#held.size === 0) this.#acknowledgedAt = performance.now();
    this.#seq += 1;
    this.#held.set(this.#seq, report);
    this.#send(this.#seq, report);
    for (const [seq, { type }] of this.#held) {
      if (this.#held.size <= this.#options.heldMaxCount) break;
      this.#held.delete(seq);
      this.#tally.add(type, '');
    }
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
    for (const timer of this.#timers) clearInterval(timer);
  }

  #heard(news: EngineNews): void {
    if (news.kind === 'event') {
      const { type, name, detail, isHelper } = news.event;
      if (isHelper) return;
      if (this.#mayTell()) this.report({ type, ...detail });
      else this.#tally.add(type, name);
    } else if (news.kind === 'down') {
      this.#wasDown = true;
      this.report({ type: 'engine_down' });
    } else if (this.#wasDown) {
      this.#wasDown = false;
      this.report({ type: 'engine_up' });
    }
  }

  /** A bucket that fills by the minute. */
  #mayTell(): boolean {
    const { burstCount, perMinuteCount } = this.#options;
    const now = performance.now();
    const regained = ((now - this.#allowedAt) / MINUTE_MS) * perMinuteCount;
    this.#allowance = Math.min(burstCount, this.#allowance + regained);
    this.#allowedAt = now;
    if (this.#allowance < 1) return false;
    this.#allowance -= 1;
    return true;
  }

  #summarise(): void {
    const summary = this.#tally.take();
    if (summary !== undefined) this.report({ type: 'engine.summary', ...summary });
  }

  #resend(): void {
    const waitedMs = performance.now() - this.#acknowledgedAt;
    if (this.#held.size > 0 && waitedMs >= this.#options.resendMs) this.#sendAll();
  }

  #sendAll(): void {
    for (const [seq, report] of this.#held) this.#send(seq, report);
  }

  #send(seq: number, report: Report): void {
    this.#notify?.(EVENT_METHOD, { ...report, seq });
  }
}
