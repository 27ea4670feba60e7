import type { Logger } from 'pino';
import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { listOf, readReply } from '../../docker-engine/docker-reply.ts';
import { LOG_CONTAINERS_MAX_COUNT } from '../../protocol/limits.ts';
import type { LogCollection } from '../../protocol/log-collection.ts';
import type { LinePlaces } from '../docker/log-position.ts';
import type { Report } from '../events/engine-event-feed.ts';
import type { EngineEvents, EngineNews } from '../events/engine-events.ts';
import type { LiveSettings } from '../live-settings.ts';
import { ContainerFollower } from './container-follower.ts';
import { LogFeed } from './log-feed.ts';
import type { CollectedLine } from './open-batch.ts';
import type { PositionFile } from './position-file.ts';

export interface LogCollectorOptions {
  readonly engine: DockerEngine;
  readonly events: EngineEvents;
  readonly settings: LiveSettings;
  readonly positions: PositionFile;
  /** Tells the hub of an event. */
  readonly report: (report: Report) => void;
  readonly log: Logger;
  /** Of containers that are followed at one time. */
  readonly maxCount?: number;
  readonly writeMs?: number;
  readonly batchMs?: number;
  readonly resendMs?: number;
}

/** How often the positions are written, and containers without a follower are looked for. */
const WRITE_MS = 30_000;
const LIST_MAX_MS = 30_000;
/** Containers without a follower of which it is known what was read; past it the oldest go. */
const LEFT_MAX_COUNT = 2_000;
/**
 * Containers that wait for room; of more, those that run are found by a later look. Together with those that
 * are followed fewer than positions are kept of: what was read of the rest would be read again.
 */
const WAITING_MAX_COUNT = 1_000;

/** A container whose follower has ended. */
interface Left {
  readonly position: LinePlaces;
  readonly hasFailed: boolean;
}

/** Follows the logs of the containers that the hub's setting chooses, from their start to their end. */
export class LogCollector implements AsyncDisposable {
  readonly feed: LogFeed;
  readonly #options: LogCollectorOptions;
  readonly #followers = new Map<string, ContainerFollower>();
  readonly #left = new Map<string, Left>();
  /** There is no room for them yet, those first that wait longest; also of ended ones not all was read. */
  readonly #waiting = new Set<string>();
  /** Found by a look, and too many to wait. */
  #unplacedCount = 0;
  readonly #unsubscribe: (() => void)[];
  readonly #timer: NodeJS.Timeout;
  readonly #ending = new AbortController();
  #collection: LogCollection = 'off';
  #collecting = new AbortController();
  #work: Promise<void> = Promise.resolve();
  /** Containers that were too many, as the hub was told last. */
  #leftOutCount = 0;
  /** Since its first session; a candidate collects nothing. */
  #isActive = false;

  constructor(options: LogCollectorOptions) {
    this.#options = options;
    const { events, settings, positions, batchMs, resendMs, writeMs = WRITE_MS } = options;
    this.feed = new LogFeed({
      onAttached: () => this.#activate(),
      // Of one that is gone the word can come late; its position would be kept for nothing.
      onStored: (lines) => positions.stored(lines.filter((line) => this.#isKnown(line))),
      ...(batchMs === undefined ? {} : { intervalMs: batchMs }),
      ...(resendMs === undefined ? {} : { resendMs }),
    });
    this.#unsubscribe = [
      settings.onUpdate(() => this.#apply()),
      events.on((news) => this.#heard(news)),
    ];
    this.#timer = setInterval(() => {
      positions.renew(this.#followers.keys());
      void positions.write();
      this.#lookAtRunning();
    }, writeMs).unref();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    clearInterval(this.#timer);
    for (const end of this.#unsubscribe) end();
    this.feed[Symbol.dispose]();
    this.#collecting.abort();
    await this.#work;
    await this.#ended();
    await this.#options.positions.write();
  }

  #activate(): void {
    this.#options.events.start();
    this.#isActive = true;
    this.#apply();
  }

  #apply(): void {
    const { settings, positions } = this.#options;
    const { logCollection: wanted = 'off' } = settings;
    if (!this.#isActive || wanted === this.#collection) return;
    this.#collection = wanted;
    if (wanted === 'off') this.#leftOutCount = 0;
    this.#waiting.clear();
    this.#unplacedCount = 0;
    this.#collecting.abort();
    this.#collecting = new AbortController();
    const now = Date.now();
    this.#next(async () => {
      await this.#ended();
      if (wanted !== 'off') {
        positions.begin(now);
        // At once: without it, a process that follows this one would begin with its own start.
        await positions.write();
        return;
      }
      this.feed.clear();
      this.#left.clear();
      await positions.clear();
    });
    this.#look();
  }

  #heard(news: EngineNews): void {
    if (this.#collection === 'off') return;
    if (news.kind === 'up') this.#look();
    if (news.kind !== 'event') return;
    const { type, id, name } = news.event;
    const follower = this.#followers.get(id);
    const { signal } = this.#collecting;
    if (type === 'container.start') this.#next(() => this.#follow(id, signal));
    else if (type === 'container.rename') follower?.rename(name);
    else if (type === 'container.destroy') {
      this.#waiting.delete(id);
      // What was read of it may still wait for the hub.
      void (follower?.ended ?? Promise.resolve()).then(() => {
        this.#left.delete(id);
        this.#options.positions.forget(id);
      });
    }
  }

  /** Follows what is there and is not followed. */
  #look(
    only: Readonly<Record<string, readonly string[]>> = {},
    onSeen?: (signal: AbortSignal) => Promise<void>,
  ): void {
    if (this.#collection === 'off' || !this.#options.events.isUp) return;
    const { signal } = this.#collecting;
    this.#next(async () => {
      try {
        const ids = await this.#list(only, signal);
        for (const id of ids) this.#follow(id, signal);
        const unplaced = ids.filter((id) => !this.#followers.has(id) && !this.#waiting.has(id));
        this.#unplacedCount = Math.max(this.#unplacedCount, unplaced.length);
        await onSeen?.(signal);
      } catch (error) {
        if (!signal.aborted) this.#options.log.warn({ err: error }, 'containers cannot be listed');
      }
    });
  }

  /** The hub is told of those that there is no room for, running or not, when their number has changed. */
  #lookAtRunning(): void {
    this.#look({ status: ['running'] }, async (signal) => {
      if (this.#waiting.size + this.#unplacedCount > 0) await this.#sortOut(signal);
      const containers = this.#waiting.size + this.#unplacedCount;
      if (containers === this.#leftOutCount) return;
      this.#leftOutCount = containers;
      const { report, log } = this.#options;
      report({ type: 'logs.not_collected', containers, max: this.#maxCount });
      log.warn({ containers, max: this.#maxCount }, 'containers whose logs are not collected');
    });
  }

  /** Some that were started are not chosen, and some are gone: none of these is to be read. */
  async #sortOut(signal: AbortSignal): Promise<void> {
    const there = new Set(await this.#list({}, signal));
    for (const id of this.#waiting) if (!there.has(id)) this.#waiting.delete(id);
    const known = [this.#followers, this.#waiting, this.#left];
    const unread = [...there].filter((id) => !known.some((ids) => ids.has(id)));
    this.#unplacedCount = Math.min(this.#unplacedCount, unread.length);
  }

  get #maxCount(): number {
    return this.#options.maxCount ?? LOG_CONTAINERS_MAX_COUNT;
  }

  /** Ids of chosen containers. Rejects also if `signal` aborted meanwhile. */
  async #list(only: object, signal: AbortSignal): Promise<string[]> {
    signal.throwIfAborted();
    const { label } = typeof this.#collection === 'object' ? this.#collection : {};
    const filters = { ...only, ...(label === undefined ? {} : { label: [label] }) };
    const reply = await this.#options.engine.request({
      path: '/containers/json',
      query: { all: true, filters: JSON.stringify(filters) },
      signal: AbortSignal.any([signal, AbortSignal.timeout(LIST_MAX_MS)]),
    });
    signal.throwIfAborted();
    return readReply(listSchema, reply).map(({ Id }) => Id);
  }

  /** @param signal of the collection that it is for: of one that has ended none begins */
  #follow(id: string, signal: AbortSignal): void {
    if (signal.aborted || this.#collection === 'off') return;
    const present = this.#followers.get(id);
    if (present !== undefined) return present.again();
    if (this.#followers.size >= this.#maxCount) return this.#wait(id);
    this.#waiting.delete(id);
    const { engine, positions, log } = this.#options;
    const collection = this.#collection;
    const follower = new ContainerFollower({
      id,
      engine,
      log,
      isChosen: (of) => isChosen(collection, of),
      position: this.#left.get(id)?.position ?? positions.of(id),
      since: positions.since,
      put: (line) => this.feed.put(line, signal),
      onEnd: (failure) => this.#leave(id, follower.position, failure),
      signal,
    });
    this.#followers.set(id, follower);
  }

  #wait(id: string): void {
    if (this.#waiting.size < WAITING_MAX_COUNT) this.#waiting.add(id);
  }

  /** Until it is started again; one that runs and cannot be read is tried again with the next look. */
  #leave(id: string, position: LinePlaces, failure: unknown): void {
    this.#followers.delete(id);
    const hasFailed = failure !== undefined;
    if (hasFailed && this.#left.get(id)?.hasFailed !== true) {
      this.#options.log.warn({ err: failure, container: id }, 'a container’s log cannot be read');
    }
    this.#left.delete(id);
    this.#left.set(id, { position, hasFailed });
    for (const oldest of this.#left.keys()) {
      if (this.#left.size <= LEFT_MAX_COUNT) break;
      this.#left.delete(oldest);
    }
    const [next] = this.#waiting;
    if (next !== undefined) this.#follow(next, this.#collecting.signal);
  }

  #isKnown({ container: { id } }: CollectedLine): boolean {
    return this.#followers.has(id) || this.#left.has(id);
  }

  async #ended(): Promise<void> {
    await Promise.all([...this.#followers.values()].map(({ ended }) => ended));
  }

  /** One after the other, and nothing after the end. */
  #next(step: () => Promise<void> | void): void {
    this.#work = this.#work.then(async () => {
      if (!this.#ending.signal.aborted) await step();
    });
  }
}

const listSchema = listOf(z.object({ Id: z.string() }));

function isChosen(collection: LogCollection, of: Readonly<Record<string, string>>): boolean {
  if (typeof collection === 'string') return collection === 'all';
  const { label } = collection;
  const end = label.indexOf('=');
  if (end === -1) return Object.hasOwn(of, label);
  return of[label.slice(0, end)] === label.slice(end + 1);
}
