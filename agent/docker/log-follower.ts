import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { isMissing } from '../../docker-engine/docker-errors.ts';
import { readReply } from '../../docker-engine/docker-reply.ts';
import { TomoError } from '../../protocol/errors.ts';
import { type ContainerLog, logParser, logRequest } from './container-log.ts';
import type { EngineOutage } from './engine-outage.ts';
import { nowNanos } from './engine-time.ts';
import type { LogMessage } from './log-messages.ts';
import { LogPace } from './log-pace.ts';
import type { LogPosition, NewMessage } from './log-position.ts';

/** Where messages go. */
export interface LogSink {
  /** Resolves when there is room for more; rejects with the signal's reason, also while it waits for room. */
  take(messages: readonly NewMessage[]): Promise<void>;
  /** Lines that were begun get no other end: the container has stopped. */
  end(): Promise<void>;
}

/** `E`: what `run` answers when the container has stopped, if it is to end then. */
export interface LogFollowerOptions<E extends string> {
  readonly docker: DockerEngine;
  readonly log: ContainerLog;
  /** Where to begin, if anything was read before, and how far it has come. */
  readonly position: LogPosition;
  readonly sink: LogSink;
  readonly outage: EngineOutage;
  readonly signal: AbortSignal;
  /** Left out, it waits for the container's next start. */
  readonly endOfRun?: E;
  /** Whether a log that the engine refuses at first is borne as one that it refuses later. */
  readonly bearsFirstRefusal: boolean;
}

/** `ended`: the engine had no more. `cut`: it went away. `behind`: left, see LogPace. */
type Outcome = 'ended' | 'cut' | 'behind' | 'until';

interface Run {
  readonly startedAt: string;
  readonly isRunning: boolean;
}

// Short at first: a container that removes itself is not there for long.
const POLL_FIRST_MS = 20;
const POLL_MS = 500;
/** The pause between looks at a container, and how it grows while that is stopped: to its full in some 45 s. */
const LOOKS = { pollMs: POLL_MS, stoppedMaxMs: 5_000, stoppedGrowth: 1.1 };
/** A container whose removal has failed is there for ever, and refuses. */
const GOING_MAX_MS = 60_000;
/** Lines are written a little after they are stamped. */
const UNTIL_GRACE_NANOS = 300_000_000n;
const TIMER_MAX_MS = 2 ** 31 - 1;

/**
 * Passes a container's log on and goes on with it over restarts of the container and the engine: each
 * message once and in order. Reads no faster than the sink takes.
 */
export class LogFollower<E extends string = never> {
  readonly #options: LogFollowerOptions<E>;
  readonly #looks: typeof LOOKS;
  /** How much of the log so far is wanted, as long as nothing of it was read. */
  #tail: number | undefined;
  /** Whether to read what is there before following: a log that rotates is then read from all its files. */
  #catchesUp: boolean;
  /** Whether the engine ever let this log be read. */
  #wasRead: boolean;
  #goingMs = POLL_MS;

  constructor(options: LogFollowerOptions<E>, looks = LOOKS) {
    this.#options = options;
    this.#looks = looks;
    this.#tail = options.log.tail;
    this.#catchesUp = options.log.rotatesAt !== undefined;
    this.#wasRead = options.bearsFirstRefusal;
  }

  /** Resolves when there is nothing to come any more; rejects with the signal's reason. */
  async run(): Promise<'container_removed' | 'until' | E> {
    if (this.#tail === 0) await this.#passOver();
    for (;;) {
      const run = await this.#inspect();
      if (run === undefined) return await this.#end('container_removed');
      const isLast = this.#isPast();
      const isCatchingUp = this.#catchesUp;
      this.#catchesUp = false;
      const outcome = await this.#read(!isLast && !isCatchingUp, true);
      if (outcome === 'behind') this.#catchesUp = true;
      else if (outcome === 'cut') this.#catchesUp = isCatchingUp;
      else if (outcome === 'ended' && isLast) return await this.#end('until');
      else if (outcome === 'ended' && !isCatchingUp) {
        const over = await this.#awaitMore(run);
        if (over !== undefined) return over;
      }
    }
  }

  /** With `tail: 0`, begins after the last message there is. */
  async #passOver(): Promise<void> {
    this.#tail = 1;
    while ((await this.#read(false, false)) === 'cut');
  }

  async #end<T>(how: T): Promise<T> {
    await this.#options.sink.end();
    return how;
  }

  /** Waits until the container may have written more; answers the end of its run if that is the end. */
  async #awaitMore(before: Run): Promise<E | undefined> {
    const { sink, signal, endOfRun, log } = this.#options;
    let isRead = false;
    for (let delayMs = POLL_FIRST_MS; ; delayMs = this.#longer(delayMs, isRead)) {
      const run = await this.#inspect();
      if (run === undefined || this.#isPast()) return undefined;
      if (run.startedAt !== before.startedAt) {
        // Since it was looked at, its log may have rotated.
        this.#catchesUp = this.#options.log.rotatesAt !== undefined;
        return undefined;
      }
      if (!run.isRunning && !isRead) {
        // The engine can end what it sends before the container's last words are in the log.
        isRead = (await this.#read(false, true)) === 'ended';
        if (isRead) await sink.end();
        if (isRead && endOfRun !== undefined) return endOfRun;
      }
      await delay(Math.min(delayMs, msUntil(log.until)), undefined, { signal });
      if (run.isRunning && delayMs >= this.#looks.pollMs) return undefined;
    }
  }

  #longer(delayMs: number, isStopped: boolean): number {
    const { pollMs, stoppedMaxMs, stoppedGrowth } = this.#looks;
    if (delayMs < pollMs) return Math.min(pollMs, 2 * delayMs);
    return isStopped ? Math.min(stoppedMaxMs, stoppedGrowth * delayMs) : pollMs;
  }

  #isPast(): boolean {
    const { until } = this.#options.log;
    return until !== undefined && until + UNTIL_GRACE_NANOS <= nowNanos();
  }

  /** Undefined for a container that is not there any more. */
  async #inspect(): Promise<Run | undefined> {
    const { docker, log, outage, signal } = this.#options;
    const path = `/containers/${log.container}/json`;
    const subject = { kind: 'container', name: log.container } as const;
    try {
      const reply = await outage.outlast(() => docker.request({ path, subject, signal }));
      const { State } = readReply(stateSchema, reply);
      return { startedAt: State.StartedAt, isRunning: State.Running && !State.Restarting };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async #read(follow: boolean, passesOn: boolean): Promise<Outcome> {
    const { docker, log, position, outage, signal } = this.#options;
    using until = new UntilTimer(log.until);
    const request = {
      ...logRequest({ ...log, since: later(position.since, log.since), tail: this.#tail }, follow),
      signal: AbortSignal.any([signal, until.signal]),
    };
    try {
      return await docker.stream(request, (bytes) => {
        outage.over();
        this.#wasRead = true;
        if (position.since !== undefined) position.again();
        return this.#takeAll(bytes, { follow, passesOn });
      });
    } catch (error) {
      signal.throwIfAborted();
      if (until.signal.aborted) return 'until';
      if (!this.#wasRead) throw error;
      await this.#bear(error);
      return 'cut';
    }
  }

  /** A container that is being removed refuses; the next look at it tells. */
  async #bear(error: unknown): Promise<void> {
    const { outage, signal } = this.#options;
    const isGoing =
      error instanceof TomoError && (error.name === 'NOT_FOUND' || error.name === 'CONFLICT');
    if (!isGoing) return await outage.wait(error);
    await delay(this.#goingMs, undefined, { signal });
    this.#goingMs = Math.min(GOING_MAX_MS, 2 * this.#goingMs);
  }

  async #takeAll(
    bytes: Readable,
    { follow, passesOn }: { follow: boolean; passesOn: boolean },
  ): Promise<Outcome> {
    const { log, position } = this.#options;
    const parser = logParser(log, position.unended);
    const pace = follow && log.rotatesAt !== undefined ? new LogPace(log.rotatesAt) : undefined;
    const chunks: AsyncIterable<Buffer> = bytes;
    for await (const chunk of chunks) {
      pace?.came();
      const { last, hasSkipped } = await this.#take(parser.take(chunk), passesOn, pace);
      if (hasSkipped) return 'behind';
      if (last !== undefined && pace?.take(chunk.length, last) === true) return 'behind';
    }
    await this.#take(parser.end(), passesOn);
    this.#tail = undefined;
    return 'ended';
  }

  /** Takes the messages, but for one before which some may be missing, and what follows it. */
  async #take(
    messages: Iterable<LogMessage>,
    passesOn: boolean,
    pace?: LogPace,
  ): Promise<{ last: LogMessage | undefined; hasSkipped: boolean }> {
    const { position, sink } = this.#options;
    const fresh: NewMessage[] = [];
    let last: LogMessage | undefined;
    let hasSkipped = false;
    for (const message of messages) {
      hasSkipped = pace?.mayHaveSkipped(message) === true;
      if (hasSkipped) break;
      last = message;
      const taken = position.take(message);
      if (taken !== undefined && passesOn) fresh.push(taken);
    }
    position.settle();
    if (last !== undefined) this.#tail = undefined;
    if (fresh.length > 0) await sink.take(fresh);
    return { last, hasSkipped };
  }
}

/** How long until the last lines before `until` are there, at least 1 if it is given, at most what a timer takes. */
function msUntil(until: bigint | undefined): number {
  if (until === undefined) return TIMER_MAX_MS;
  const ms = Number((until + UNTIL_GRACE_NANOS - nowNanos()) / 1_000_000n) + 1;
  return Math.min(TIMER_MAX_MS, Math.max(1, ms));
}

function later(one: bigint | undefined, other: bigint | undefined): bigint | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one > other ? one : other;
}

/** Aborts its signal once `until` has passed. */
class UntilTimer implements Disposable {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(until: bigint | undefined) {
    if (until === undefined) return;
    const ms = msUntil(until);
    // One that is past is read to its end.
    if (ms <= 1) return;
    this.#timer = setTimeout(() => this.#controller.abort(), ms);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

const stateSchema = z.object({
  State: z.object({ StartedAt: z.string(), Running: z.boolean(), Restarting: z.boolean() }),
});
