import { hash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { DockerEngine, EngineRequest } from '../../docker-engine/docker-engine.ts';
import { count, labels, readReply } from '../../docker-engine/docker-reply.ts';
import type { CommandContext } from '../commands/handler.ts';
import { EngineOutage } from './engine-outage.ts';
import { engineQueryTime, nowNanos } from './engine-time.ts';
import { jsonLines } from './json-lines.ts';

/** Which events are wanted. */
export interface WantedEvents {
  /** Nanoseconds since 1970. */
  readonly since: bigint | undefined;
  readonly until: bigint | undefined;
  readonly filters: Readonly<Record<string, readonly string[]>>;
}

export type EngineEvent = z.output<typeof eventSchema>;

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '');

// The engine puts the whole command line of an exec there, with whatever secrets it has.
const EXEC_COMMAND = /(?<=^exec_\w+):.*/s;

const eventSchema = z
  .object({
    Type: text,
    Action: text,
    Actor: z.object({ ID: text, Attributes: labels }).nullish(),
    timeNano: count,
  })
  .transform(({ Type, Action, Actor, timeNano }) => ({
    time: new Date(timeNano / 1e6).toISOString(),
    type: Type,
    action: Action.replace(EXEC_COMMAND, ''),
    id: Actor?.ID ?? '',
    attributes: Actor?.Attributes ?? {},
  }));

/** Hands events to `take`, one after the other, until the engine has no more for the request. */
export async function readEvents(
  docker: DockerEngine,
  wanted: WantedEvents,
  signal: AbortSignal,
  take: (event: EngineEvent, line: string) => Promise<void> | void,
  begun: () => void = () => undefined,
): Promise<void> {
  await docker.stream({ ...eventsRequest(wanted), signal }, async (bytes: Readable) => {
    begun();
    for await (const line of jsonLines(bytes)) {
      await take(readReply(eventSchema, line.value), line.text);
    }
  });
}

function eventsRequest({ since, until, filters }: WantedEvents): EngineRequest {
  return {
    path: '/events',
    query: {
      ...(since !== undefined && { since: engineQueryTime(since) }),
      ...(until !== undefined && { until: engineQueryTime(until) }),
      filters: JSON.stringify(filters),
    },
  };
}

const POLL_MS = 500;
/** The engine stamps an event before it puts it among the others. */
const DISORDER_NANOS = 1_000_000_000n;
// More than an engine remembers (256).
const KNOWN_MAX_COUNT = 1_024;

/** Passes the engine's events on, each once, over restarts of the engine. */
export class EventFollower {
  readonly #docker: DockerEngine;
  readonly #wanted: WantedEvents;
  readonly #context: Pick<CommandContext, 'signal' | 'output'>;
  readonly #take: (event: EngineEvent) => Promise<void>;
  readonly #outage: EngineOutage;
  readonly #known = new Set<string>();
  #since: bigint | undefined;

  constructor(
    docker: DockerEngine,
    wanted: WantedEvents,
    context: Pick<CommandContext, 'signal' | 'output'>,
    take: (event: EngineEvent) => Promise<void>,
  ) {
    this.#docker = docker;
    this.#wanted = wanted;
    this.#context = context;
    this.#take = take;
    this.#outage = new EngineOutage(context);
    this.#since = wanted.since;
  }

  /** Resolves when `until` has passed; rejects with the signal's reason, or if the first request fails. */
  async run(): Promise<void> {
    const { signal } = this.#context;
    const { until } = this.#wanted;
    let isOpened = false;
    for (;;) {
      const isLast = until !== undefined && until <= nowNanos();
      try {
        await this.#read(() => {
          isOpened = true;
          this.#outage.over();
        });
      } catch (error) {
        if (!isOpened) throw error;
        await this.#outage.wait(error);
        continue;
      }
      if (isLast) return;
      await delay(POLL_MS, undefined, { signal });
    }
  }

  async #read(begun: () => void): Promise<void> {
    const startedAt = nowNanos();
    await readEvents(
      this.#docker,
      { ...this.#wanted, since: this.#since },
      this.#context.signal,
      async (event, line) => {
        if (this.#isKnown(line)) return;
        this.#since = BigInt(Date.parse(event.time)) * 1_000_000n - DISORDER_NANOS;
        await this.#take(event);
      },
      () => {
        this.#since ??= startedAt;
        begun();
      },
    );
  }

  /** By its text, in which its time stands to the nanosecond. */
  #isKnown(line: string): boolean {
    const key = hash('sha1', line, 'base64');
    if (this.#known.has(key)) return true;
    this.#known.add(key);
    const [oldest] = this.#known;
    if (oldest !== undefined && this.#known.size > KNOWN_MAX_COUNT) this.#known.delete(oldest);
    return false;
  }
}
