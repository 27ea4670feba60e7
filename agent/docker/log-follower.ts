import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { isMissing } from '../../docker-engine/docker-errors.ts';
import { readReply } from '../../docker-engine/docker-reply.ts';
import { TomoError } from '../../protocol/errors.ts';
import type { CommandContext } from '../commands/handler.ts';
import { type ContainerLog, logParser, logRequest } from './container-log.ts';
import { EngineOutage } from './engine-outage.ts';
import { nowNanos } from './engine-time.ts';
import type { LineWriter } from './line-writer.ts';
import type { LogLine, LogLines } from './log-lines.ts';
import type { LogMessage, UnendedLine } from './log-messages.ts';
import { LogPace } from './log-pace.ts';
import { LogPosition } from './log-position.ts';

/** `ended`: the engine had no more. `cut`: it went away. `behind`: left, see LogPace. */
type Outcome = 'ended' | 'cut' | 'behind' | 'until';

interface Run {
  readonly startedAt: string;
  readonly isRunning: boolean;
}

// Short at first: a container that removes itself is not there for long.
const POLL_FIRST_MS = 20;
const POLL_MS = 500;
/** Lines are written a little after they are stamped. */
const UNTIL_GRACE_NANOS = 300_000_000n;
const TIMER_MAX_MS = 2 ** 31 - 1;

/**
 * Passes a container's log on and goes on with it over restarts of the container and the engine: each
 * line once and in order. Reads no faster than the writer takes.
 */
export class LogFollower {
  readonly #docker: DockerEngine;
  readonly #log: ContainerLog;
  readonly #lines: LogLines;
  readonly #writer: LineWriter;
  readonly #context: Pick<CommandContext, 'signal' | 'output'>;
  readonly #outage: EngineOutage;
  readonly #position: LogPosition;
  /** How much of the log so far is wanted, as long as nothing of it was read. */
  #tail: number | undefined;
  /** Whether to read what is there before following: a log that rotates is then read from all its files. */
  #catchesUp: boolean;
  #unended: UnendedLine | undefined;
  /** Whether the engine ever let this log be read. */
  #wasRead = false;

  constructor(
    docker: DockerEngine,
    log: ContainerLog,
    lines: LogLines,
    writer: LineWriter,
    context: Pick<CommandContext, 'signal' | 'output'>,
  ) {
    this.#docker = docker;
    this.#log = log;
    this.#lines = lines;
    this.#writer = writer;
    this.#context = context;
    this.#outage = new EngineOutage(context);
    this.#position = new LogPosition({ mayRepeat: log.rotatesAt !== undefined });
    this.#tail = log.tail;
    this.#catchesUp = log.rotatesAt !== undefined;
  }

  /** How often lines were lost because the engine had removed them before they were read. */
  get gaps(): number {
    return this.#position.gaps;
  }

  /** Resolves when there is nothing to come any more; rejects with the signal's reason. */
  async run(): Promise<'container_removed' | 'until'> {
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
      else if (outcome === 'ended' && !isCatchingUp) await this.#nextRun(run);
    }
  }

  /** With `tail: 0`, begins after the last message there is. */
  async #passOver(): Promise<void> {
    this.#tail = 1;
    while ((await this.#read(false, false)) === 'cut');
  }

  async #end<T>(how: T): Promise<T> {
    await this.#writer.write(this.#lines.end('\n'));
    return how;
  }

  /** Waits until the container may have written more. */
  async #nextRun(before: Run): Promise<void> {
    let isRead = false;
    for (let delayMs = POLL_FIRST_MS; ; delayMs = Math.min(POLL_MS, 2 * delayMs)) {
      const run = await this.#inspect();
      if (run === undefined || run.startedAt !== before.startedAt || this.#isPast()) return;
      if (!run.isRunning && !isRead) {
        // The engine can end what it sends before the container's last words are in the log.
        isRead = (await this.#read(false, true)) === 'ended';
        if (isRead) await this.#writer.write(this.#lines.end('\n'));
      }
      await delay(delayMs, undefined, { signal: this.#context.signal });
      if (run.isRunning && delayMs === POLL_MS) return;
    }
  }

  #isPast(): boolean {
    const { until } = this.#log;
    return until !== undefined && until + UNTIL_GRACE_NANOS <= nowNanos();
  }

  /** Undefined for a container that is not there any more. */
  async #inspect(): Promise<Run | undefined> {
    const path = `/containers/${this.#log.container}/json`;
    const { signal } = this.#context;
    try {
      const reply = await this.#outage.outlast(() =>
        this.#docker.request({ path, subject: this.#subject(), signal }),
      );
      const { State } = readReply(stateSchema, reply);
      return { startedAt: State.StartedAt, isRunning: State.Running && !State.Restarting };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async #read(follow: boolean, passesOn: boolean): Promise<Outcome> {
    const { signal } = this.#context;
    using until = new UntilTimer(this.#log.until);
    const since = this.#position.since ?? this.#log.since;
    const request = {
      ...logRequest({ ...this.#log, since, tail: this.#tail }, follow),
      signal: AbortSignal.any([signal, until.signal]),
    };
    try {
      return await this.#docker.stream(request, (bytes) => {
        this.#outage.over();
        this.#wasRead = true;
        if (this.#position.since !== undefined) this.#position.again();
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
    const isGoing =
      error instanceof TomoError && (error.name === 'NOT_FOUND' || error.name === 'CONFLICT');
    if (!isGoing) await this.#outage.wait(error);
    else await delay(POLL_MS, undefined, { signal: this.#context.signal });
  }

  async #takeAll(
    bytes: Readable,
    { follow, passesOn }: { follow: boolean; passesOn: boolean },
  ): Promise<Outcome> {
    const parser = logParser(this.#log, this.#unended);
    const { rotatesAt } = this.#log;
    const pace = follow && rotatesAt !== undefined ? new LogPace(rotatesAt) : undefined;
    const chunks: AsyncIterable<Buffer> = bytes;
    for await (const chunk of chunks) {
      const last = await this.#take(parser.take(chunk), passesOn);
      if (last !== undefined && pace?.take(chunk.length, last.time) === true) return 'behind';
    }
    const unended = await this.#take(parser.end(), passesOn);
    if (unended !== undefined) this.#unended = { ...unended, bytes: unended.text.length };
    this.#tail = undefined;
    return 'ended';
  }

  /** Answers the last of the messages. */
  async #take(messages: Iterable<LogMessage>, passesOn: boolean): Promise<LogMessage | undefined> {
    const lines: LogLine[] = [];
    let last: LogMessage | undefined;
    for (const message of messages) {
      last = message;
      if (!this.#position.take(message) || !passesOn) continue;
      const line = this.#lines.take(message);
      if (line !== undefined) lines.push(line);
    }
    if (last !== undefined) this.#tail = undefined;
    await this.#writer.write(lines);
    return last;
  }

  #subject() {
    return { kind: 'container', name: this.#log.container } as const;
  }
}

/** Aborts its signal once `until` has passed. */
class UntilTimer implements Disposable {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(until: bigint | undefined) {
    if (until === undefined) return;
    const ms = Number((until + UNTIL_GRACE_NANOS - nowNanos()) / 1_000_000n) + 1;
    // One that is past is read to its end.
    if (ms <= 1) return;
    this.#timer = setTimeout(() => this.#controller.abort(), Math.min(ms, TIMER_MAX_MS));
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
