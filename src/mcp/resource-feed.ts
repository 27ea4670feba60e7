import { setTimeout as delay } from 'node:timers/promises';
import type { ServerEvent, ServerEventBus } from '@modelcontextprotocol/server';
import type { Logger } from 'pino';
import { RESOURCE_UPDATE_INTERVAL_MS } from '../../protocol/limits.ts';
import type { Caller, Fleet } from '../fleet/fleet.ts';
import { AGENTS_URI, agentUri } from './resources/agent-uris.ts';

/** Long enough to be rare, short enough that a fleet that has moved is noticed. */
const WAIT_SECONDS = 25;
/** After a fault, such as an owner that is gone. */
const RETRY_MS = 2_000;
const CALLER: Caller = { actor: 'local', access: 'read' };

/** Told of a resource that changed; undefined: any agent's may have. */
type Listener = (event: ServerEvent) => void;

/**
 * Tells subscribers which resources changed, wherever the agents are connected. Asks the fleet only
 * while there are subscribers, and tells of each resource at most once a second.
 */
export class ResourceFeed implements ServerEventBus, Disposable {
  readonly #fleet: Fleet;
  readonly #log: Logger;
  readonly #listeners = new Set<Listener>();
  #polling: AbortController | undefined;

  constructor(fleet: Fleet, log: Logger) {
    this.#fleet = fleet;
    this.#log = log;
  }

  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    if (this.#polling === undefined) {
      this.#polling = new AbortController();
      void this.#poll(this.#polling.signal);
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this[Symbol.dispose]();
    };
  }

  publish(event: ServerEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  [Symbol.dispose](): void {
    this.#polling?.abort();
    this.#polling = undefined;
  }

  async #poll(signal: AbortSignal): Promise<void> {
    let version: string | undefined;
    let known: ReadonlySet<string> = new Set();
    while (!signal.aborted) {
      try {
        // At first only where to begin; nobody was told anything yet.
        const isFirst = version === undefined;
        const args = { wait_seconds: isFirst ? 0 : WAIT_SECONDS, ...(version && { version }) };
        const caller = { ...CALLER, signal };
        const changes = await this.#fleet.perform('wait_for_changes', args, caller);
        if (signal.aborted) return;
        const { server_ids } = changes;
        if (!isFirst && changes.version !== version) {
          known = await this.#tell(server_ids, known, signal);
        }
        version = changes.version;
        await pause(RESOURCE_UPDATE_INTERVAL_MS, signal);
      } catch (error) {
        if (!signal.aborted)
          this.#log.debug({ err: error }, 'cannot see what changed; trying again');
        await pause(RETRY_MS, signal);
      }
    }
  }

  /** The servers of which something was told; of an unknown change all of them are told again. */
  async #tell(
    changed: readonly string[] | null,
    known: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<ReadonlySet<string>> {
    const servers = changed ?? [...known, ...(await this.#present(signal))];
    this.publish({ kind: 'resource_updated', uri: AGENTS_URI });
    for (const serverId of new Set(servers)) {
      this.publish({ kind: 'resource_updated', uri: agentUri(serverId) });
    }
    return new Set(servers);
  }

  /** The servers there are, the first of them. */
  async #present(signal: AbortSignal): Promise<string[]> {
    const args = { limit: 1_000 };
    const { agents } = await this.#fleet.perform('list_agents', args, { ...CALLER, signal });
    return agents.map(({ server_id }) => server_id);
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal, ref: false }).catch(() => undefined);
}
