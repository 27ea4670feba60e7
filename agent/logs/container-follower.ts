import type { Logger } from 'pino';
import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { isMissing } from '../../docker-engine/docker-errors.ts';
import { labels, readReply } from '../../docker-engine/docker-reply.ts';
import { LOG_CONTAINER_NAME_MAX_CHARS } from '../../protocol/limits.ts';
import { type ContainerLog, formOfLog, loggedContainerSchema } from '../docker/container-log.ts';
import { EngineOutage } from '../docker/engine-outage.ts';
import { engineTimeNanos } from '../docker/engine-time.ts';
import { LogFollower } from '../docker/log-follower.ts';
import { type LinePlaces, LogPosition } from '../docker/log-position.ts';
import { LoggedLines } from './logged-lines.ts';
import type { CollectedLine } from './open-batch.ts';

export interface ContainerFollowerOptions {
  readonly id: string;
  readonly engine: DockerEngine;
  readonly log: Logger;
  readonly isChosen: (labels: Readonly<Record<string, string>>) => boolean;
  /** The last lines that were taken, if any were. */
  readonly position: LinePlaces | undefined;
  /** Without them: from when on, in nanoseconds since 1970. */
  readonly since: string;
  /** Resolves when there is room for the next line. */
  readonly put: (line: CollectedLine) => Promise<void>;
  /** Called once it reads no more: the container has stopped or is gone, or why it cannot be read. */
  readonly onEnd: (failure?: unknown) => void;
  readonly signal: AbortSignal;
}

/** Very many wait for the same engine, and are told when it is back. */
const DELAYS = { firstDelayMs: 250, maxDelayMs: 60_000 };

/**
 * Reads one container's log to the end of its run, and on where it is started again meanwhile; each
 * line once, and with a word where the engine does not have lines any more.
 */
export class ContainerFollower {
  /** Resolves when it reads no more. */
  readonly ended: Promise<void>;
  readonly #options: ContainerFollowerOptions;
  readonly #lines: LoggedLines;
  readonly #outage: EngineOutage;
  #name = '';
  #isAgain = false;

  constructor(options: ContainerFollowerOptions) {
    this.#options = options;
    const { id, put, log, signal } = options;
    this.#lines = new LoggedLines(options.position ?? {}, (line) =>
      put({ container: { id, name: this.#name }, line }),
    );
    const output = { progress: (words: string) => log.debug({ container: id }, words) };
    this.#outage = new EngineOutage({ signal, output }, DELAYS);
    this.ended = this.#run();
  }

  /** The last lines that were handed on. */
  get position(): LinePlaces {
    return this.#lines.position;
  }

  /** It was started, or the engine: not to end before that was looked at, nor to wait longer. */
  again(): void {
    this.#isAgain = true;
    this.#outage.hurry();
  }

  rename(name: string): void {
    this.#name = name.slice(0, LOG_CONTAINER_NAME_MAX_CHARS);
  }

  async #run(): Promise<void> {
    const { signal, onEnd } = this.#options;
    let failure: unknown;
    try {
      do {
        this.#isAgain = false;
        await this.#readRun();
      } while (this.#isAgain);
    } catch (error) {
      if (!signal.aborted && !isMissing(error)) failure = error;
    }
    onEnd(failure);
  }

  async #readRun(): Promise<void> {
    const { id, engine, isChosen, since, signal } = this.#options;
    const subject = { kind: 'container', name: id } as const;
    const request = { path: `/containers/${id}/json`, subject, signal };
    const reply = await this.#outage.outlast(() => engine.request(request));
    const container = readReply(inspectSchema, reply);
    const { Name, Config, State } = container;
    if (!isChosen(Config.Labels)) return;
    this.rename(Name.replace(/^\//, ''));
    const log: ContainerLog = {
      ...formOfLog(container),
      stdout: true,
      stderr: true,
      tail: undefined,
      since: BigInt(since),
      until: undefined,
    };
    const mayRepeat = log.rotatesAt !== undefined;
    const position = new LogPosition({ mayRepeat, from: this.position });
    const endedAt = engineTimeNanos(State.FinishedAt);
    if (!State.Running && endedAt < (position.since ?? BigInt(since))) return;
    const follower = new LogFollower({
      docker: engine,
      log,
      position,
      sink: this.#lines,
      outage: this.#outage,
      signal,
      endOfRun: 'stopped',
      bearsFirstRefusal: true,
    });
    await follower.run();
  }
}

const inspectSchema = loggedContainerSchema.extend({
  Name: z.string(),
  Config: loggedContainerSchema.shape.Config.extend({ Labels: labels }),
  State: z.object({ Running: z.boolean(), FinishedAt: z.string() }),
});
