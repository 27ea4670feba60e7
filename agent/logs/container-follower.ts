import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { isMissing } from '../../docker-engine/docker-errors.ts';
import { labels, readReply } from '../../docker-engine/docker-reply.ts';
import { LOG_CONTAINER_NAME_MAX_CHARS } from '../../protocol/limits.ts';
import { readLogLines } from './log-lines.ts';
import { type LogPosition, PlaceCounter, sinceOf } from './log-position.ts';
import type { CollectedLine } from './open-batch.ts';

export interface ContainerFollowerOptions {
  readonly id: string;
  readonly engine: DockerEngine;
  readonly log: Logger;
  readonly isChosen: (labels: Readonly<Record<string, string>>) => boolean;
  /** The last line that was taken, if any was. */
  readonly position: LogPosition | undefined;
  /** Without one: from when on, in nanoseconds since 1970. */
  readonly since: string;
  /** Resolves when there is room for the next line. */
  readonly put: (line: CollectedLine) => Promise<void>;
  readonly signal: AbortSignal;
}

const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 60_000;

/**
 * Reads one container's log to the end of its run, and on where it is started again meanwhile; each
 * line once, as far as the engine still has it.
 */
export class ContainerFollower {
  /** Resolves when there is nothing more to read, until it is started again. */
  readonly ended: Promise<void>;
  readonly #options: ContainerFollowerOptions;
  #position: LogPosition;
  #name = '';
  #isAgain = true;
  #hasWarned = false;

  constructor(options: ContainerFollowerOptions) {
    this.#options = options;
    this.#position = { ...options.position };
    this.ended = this.#run();
  }

  /** The last line that was handed on. */
  get position(): LogPosition {
    return this.#position;
  }

  /** It was started: not to end before that was looked at. */
  again(): void {
    this.#isAgain = true;
  }

  rename(name: string): void {
    this.#name = name.slice(0, LOG_CONTAINER_NAME_MAX_CHARS);
  }

  async #run(): Promise<void> {
    const { signal } = this.#options;
    let failures = 0;
    while (this.#isAgain && !signal.aborted) {
      this.#isAgain = false;
      try {
        if (await this.#readOnce(signal)) this.again();
        failures = 0;
      } catch (error) {
        if (signal.aborted || isMissing(error)) return;
        failures += 1;
        this.#warn(error);
        this.again();
      }
      if (!this.#isAgain) return;
      const ms = Math.min(RETRY_FIRST_MS * 2 ** failures, RETRY_MAX_MS);
      await delay(ms, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  /** Whether there may be more: what ran when the reading began has to be looked at again. */
  async #readOnce(signal: AbortSignal): Promise<boolean> {
    const { id, engine, isChosen, since: otherwise } = this.#options;
    const subject = { kind: 'container', name: id } as const;
    const path = `/containers/${id}`;
    const reply = await engine.request({ path: `${path}/json`, subject, signal });
    const { Name, Config, State } = readReply(inspectSchema, reply);
    if (!isChosen(Config.Labels)) return false;
    this.rename(Name.replace(/^\//, ''));
    const since = sinceOf(this.#position, otherwise);
    const hasEndedBefore = Date.parse(State.FinishedAt) / 1_000 < Number(since);
    if (!State.Running && hasEndedBefore) return false;
    const query = { follow: true, stdout: true, stderr: true, timestamps: true, since };
    await engine.stream({ path: `${path}/logs`, query, subject, signal }, async (bytes) => {
      const counter = new PlaceCounter(this.#position);
      for await (const line of readLogLines(bytes, Config.Tty)) {
        const place = counter.place(line);
        if (place === undefined) continue;
        await this.#options.put({ container: { id, name: this.#name }, line, place });
        this.#position = { ...this.#position, [line.stream]: place };
      }
    });
    return State.Running;
  }

  #warn(error: unknown): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    const { id, log } = this.#options;
    log.warn({ err: error, container: id }, 'the log of a container cannot be read; trying again');
  }
}

const inspectSchema = z.object({
  Name: z.string(),
  Config: z.object({ Tty: z.boolean(), Labels: labels }),
  State: z.object({ Running: z.boolean(), FinishedAt: z.string() }),
});
