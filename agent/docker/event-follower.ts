import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { DockerEngine, EngineRequest } from '../../docker-engine/docker-engine.ts';
import { count, labels, readReply } from '../../docker-engine/docker-reply.ts';
import { jsonLines } from '../../docker-engine/json-lines.ts';
import type { CommandContext } from '../commands/handler.ts';
import { EventHistory } from '../events/event-history.ts';
import { EngineOutage } from './engine-outage.ts';
import { engineQueryTime, nowNanos } from './engine-time.ts';

/** Which events are wanted. */
export interface WantedEvents {
  /** Nanoseconds since 1970. */
  readonly since: bigint | undefined;
  readonly until: bigint | undefined;
  readonly filters: Readonly<Record<string, readonly string[]>>;
}

/** Any event, as `docker.events` shows it. */
export type ShownEvent = z.output<typeof eventSchema>;

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
  take: (event: ShownEvent, line: string) => Promise<void> | void,
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
const NANOS_PER_MS = 1_000_000n;

/** Passes the engine's events on, each once, over restarts of the engine. */
export class EventFollower {
  readonly #docker: DockerEngine;
  readonly #wanted: WantedEvents;
  readonly #context: Pick<CommandContext, 'signal' | 'output'>;
  readonly #take: (event: ShownEvent) => Promise<void>;
  readonly #outage: EngineOutage;
  readonly #history: EventHistory;

  constructor(
    docker: DockerEngine,
    wanted: WantedEvents,
    context: Pick<CommandContext, 'signal' | 'output'>,
    take: (event: ShownEvent) => Promise<void>,
  ) {
    this.#docker = docker;
    this.#wanted = wanted;
    this.#context = context;
    this.#take = take;
    this.#outage = new EngineOutage(context);
    this.#history = new EventHistory(wanted.since);
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
      { ...this.#wanted, since: this.#history.since },
      this.#context.signal,
      async (event, line) => {
        const at = BigInt(Date.parse(event.time)) * NANOS_PER_MS;
        if (this.#history.isNew(line, at)) await this.#take(event);
      },
      () => {
        this.#history.begin(startedAt);
        begun();
      },
    );
  }
}
