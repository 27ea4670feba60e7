import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { jsonLines } from '../../docker-engine/json-lines.ts';
import { engineQueryTime, nowNanos } from '../docker/engine-time.ts';
import { type EngineEvent, EVENT_FILTERS, parseEngineEvent } from './engine-event.ts';
import { EventHistory } from './event-history.ts';
import { RunningContainers } from './running-containers.ts';

/** `up`: events flow, from now or again; `down`: the engine that was there does not answer. */
export type EngineNews =
  | { readonly kind: 'event'; readonly event: EngineEvent }
  | { readonly kind: 'up' | 'down' };

export interface EngineEventsOptions {
  readonly engine: DockerEngine;
  readonly log: Logger;
  /** How often the engine is asked for a sign of life while it says nothing. */
  readonly pingMs?: number;
}

const PING_MS = 30_000;
const PING_MAX_MS = 10_000;
const LASTED_MS = 1_000;
const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 5_000;
/** The same while there has never been an engine. */
const RETRY_NONE_MS = 60_000;
const NANOS_PER_MS = 1_000_000n;

/**
 * Follows the engine's events for all who are interested, through restarts of the engine: each event is
 * told once, deaths that the engine itself missed as well.
 */
export class EngineEvents implements AsyncDisposable {
  readonly #options: EngineEventsOptions;
  readonly #listeners = new Set<(news: EngineNews) => void>();
  readonly #ending = new AbortController();
  readonly #history = new EventHistory();
  readonly #containers: RunningContainers;
  #running: Promise<void> | undefined;
  #wasUp = false;
  #isUp = false;

  constructor(options: EngineEventsOptions) {
    this.#options = options;
    this.#containers = new RunningContainers(options.engine);
  }

  /** Whether events flow at present. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** Begins with what happens from now on. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Calls the listener with all news until the returned function is called. */
  on(listener: (news: EngineNews) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    let failures = 0;
    while (!signal.aborted) {
      const startedAtMs = performance.now();
      const hadEvents = await this.#follow(signal);
      // An engine that ends every stream at once is not asked again at once for ever.
      const lasted = hadEvents && performance.now() - startedAtMs > LASTED_MS;
      failures = lasted ? 0 : failures + 1;
      // Right after an end it is tried once more before it counts as down.
      if (!hadEvents) this.#fell();
      const cap = this.#wasUp ? RETRY_MAX_MS : RETRY_NONE_MS;
      const ms = Math.min(RETRY_FIRST_MS * 2 ** Math.min(failures, 10), cap);
      await delay(ms, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  /** Until the engine ends the stream. Whether it began. */
  async #follow(signal: AbortSignal): Promise<boolean> {
    const { engine, log } = this.#options;
    const { since } = this.#history;
    const query = {
      filters: EVENT_FILTERS,
      ...(since !== undefined && { since: engineQueryTime(since) }),
    };
    const askedAt = nowNanos();
    const silent = new AbortController();
    let began = false;
    try {
      const path = '/events';
      const either = AbortSignal.any([signal, silent.signal]);
      await engine.stream({ path, query, signal: either }, async (bytes) => {
        began = true;
        this.#history.begin(askedAt);
        const pinging = setInterval(
          () => void this.#ping(silent),
          this.#options.pingMs ?? PING_MS,
        ).unref();
        try {
          await this.#read(bytes, either);
        } finally {
          clearInterval(pinging);
        }
      });
    } catch (error) {
      if (!signal.aborted) log.debug({ err: error }, 'the engine’s events ended');
    }
    return began;
  }

  async #read(bytes: Readable, signal: AbortSignal): Promise<void> {
    const checking = this.#rose(signal);
    try {
      for await (const { value, text } of jsonLines(bytes, { isLenient: true })) {
        const event = parseEngineEvent(value);
        if (event === undefined) continue;
        if (this.#history.isNew(text, BigInt(event.at) * NANOS_PER_MS)) this.#take(event);
      }
    } finally {
      await checking;
    }
  }

  #take(event: EngineEvent): void {
    if (this.#containers.isNews(event)) this.#tell({ kind: 'event', event });
  }

  /** Deaths that no message tells of, of containers that ran before the engine itself was killed. */
  async #rose(signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    this.#wasUp = true;
    if (!this.#isUp) log.info('following the engine’s events');
    this.#isUp = true;
    this.#tell({ kind: 'up' });
    try {
      for (const event of await this.#containers.missedDeaths(signal)) this.#take(event);
    } catch (error) {
      if (!signal.aborted) log.debug({ err: error }, 'the engine does not list its containers');
    }
  }

  #fell(): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#options.log.warn('the engine does not answer');
    this.#tell({ kind: 'down' });
  }

  /** A connection whose other end has vanished would be waited on for ever. */
  async #ping(silent: AbortController): Promise<void> {
    const signal = AbortSignal.timeout(PING_MAX_MS);
    await this.#options.engine.request({ path: '/_ping', signal }).catch(() => silent.abort());
  }

  #tell(news: EngineNews): void {
    for (const listener of this.#listeners) listener(news);
  }
}
