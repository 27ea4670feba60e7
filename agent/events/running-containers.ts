import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { isMissing } from '../../docker-engine/docker-errors.ts';
import { labels, listOf, readReply, shortId } from '../../docker-engine/docker-reply.ts';
import { EVENT_TEXT_MAX_CHARS } from '../../protocol/limits.ts';
import { HELPER_LABEL } from '../own-container/own-container.ts';
import type { EngineEvent } from './engine-event.ts';

/** Far more than a server runs; past it nothing is known of the oldest. */
const CONTAINERS_MAX_COUNT = 10_000;
/** What the engine's own messages have to arrive, before a death counts as missed. */
const MESSAGES_MS = 1_000;
const LIST_MAX_MS = 10_000;

interface Known {
  readonly isRunning: boolean;
  /** By the message of its last death. */
  readonly diedAt?: number;
  readonly health?: string;
}

/** What is known of the containers from their events, and what the engine missed of it. */
export class RunningContainers {
  readonly #engine: DockerEngine;
  readonly #known = new Map<string, Known>();

  constructor(engine: DockerEngine) {
    this.#engine = engine;
  }

  /** False for a death that was told, and for a health that is as it was. */
  isNews({ type, id, at, detail }: EngineEvent): boolean {
    const known = this.#known.get(id);
    switch (type) {
      case 'container.start':
        this.#remember(id, { ...known, isRunning: true });
        return true;
      case 'container.die':
        // Between two deaths there is a start.
        if (known?.isRunning === false) return false;
        this.#remember(id, { isRunning: false, diedAt: at });
        return true;
      case 'container.health_status':
        return this.#isOtherHealth(id, String(detail['health']));
      case 'container.destroy':
        this.#known.delete(id);
        return true;
      default:
        return true;
    }
  }

  /** Learns which run; those that ran and do not any more, without a message of it, have died. */
  async missedDeaths(signal: AbortSignal): Promise<EngineEvent[]> {
    const believed = [...this.#known].filter(([, { isRunning }]) => isRunning);
    if (believed.length > 0) await delay(MESSAGES_MS, undefined, { signal, ref: false });
    const limit = AbortSignal.any([signal, AbortSignal.timeout(LIST_MAX_MS)]);
    const reply = await this.#engine.request({ path: '/containers/json', signal: limit });
    const running = new Set(readReply(listSchema, reply).map(({ Id }) => Id));
    for (const id of running) {
      this.#remember(id, { ...this.#known.get(id), isRunning: true });
    }
    const events: EngineEvent[] = [];
    for (const [id] of believed) {
      if (running.has(id) || this.#known.get(id)?.isRunning !== true) continue;
      const event = await this.#death(id, limit);
      if (event === undefined) this.#known.delete(id);
      // The list can be older than the message.
      else if (event.at > (this.#known.get(id)?.diedAt ?? 0)) events.push(event);
    }
    return events;
  }

  #isOtherHealth(id: string, health: string): boolean {
    const known = this.#known.get(id);
    if (known?.health === health) return false;
    this.#remember(id, { isRunning: true, ...known, health });
    return true;
  }

  #remember(id: string, known: Known): void {
    this.#known.delete(id);
    this.#known.set(id, known);
    if (this.#known.size <= CONTAINERS_MAX_COUNT) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      break;
    }
  }

  /** Undefined if it is gone altogether. */
  async #death(id: string, signal: AbortSignal): Promise<EngineEvent | undefined> {
    try {
      const reply = await this.#engine.request({
        path: `/containers/${id}/json`,
        subject: { kind: 'container', name: id },
        signal,
      });
      const { Name, Config, State } = readReply(inspectSchema, reply);
      const at = Date.parse(State.FinishedAt) || Date.now();
      const name = Name.replace(/^\//, '');
      return {
        type: 'container.die',
        id,
        name,
        at,
        detail: {
          container: name.slice(0, EVENT_TEXT_MAX_CHARS),
          id: shortId(id),
          image: Config.Image.slice(0, EVENT_TEXT_MAX_CHARS),
          exit_code: State.ExitCode,
          at: new Date(at).toISOString(),
        },
        isHelper: Object.hasOwn(Config.Labels, HELPER_LABEL),
      };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }
}

const listSchema = listOf(z.object({ Id: z.string() }));
const inspectSchema = z.object({
  Name: z.string(),
  Config: z.object({ Image: z.string(), Labels: labels }),
  State: z.object({ ExitCode: z.number(), FinishedAt: z.string() }),
});
