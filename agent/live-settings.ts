import { isDeepStrictEqual } from 'node:util';
import { type AgentConfig, agentConfigSchema } from '../protocol/handshake.ts';
import type { LogCollection } from '../protocol/log-collection.ts';

type Intervals = { readonly [Name in keyof AgentConfig]?: AgentConfig[Name] | undefined };

/** What the hub last told this agent: who it is, its intervals, and whose logs it is to collect. */
export class LiveSettings {
  readonly #listeners = new Set<() => void>();
  #agentId: string | null = null;
  #config: AgentConfig = agentConfigSchema.parse({});
  #logCollection: LogCollection | undefined;

  /** null until the agent has been authenticated. */
  get agentId(): string | null {
    return this.#agentId;
  }

  get config(): AgentConfig {
    return this.#config;
  }

  /** Undefined until the hub has said. */
  get logCollection(): LogCollection | undefined {
    return this.#logCollection;
  }

  welcome(agentId: string, config: AgentConfig): void {
    this.#agentId = agentId;
    this.#config = config;
  }

  /** A hub that says nothing of it wants none. */
  collectLogs(collection: LogCollection = 'off'): void {
    if (isDeepStrictEqual(collection, this.#logCollection)) return;
    this.#logCollection = collection;
    this.#tell();
  }

  /** Changes what is given and leaves the rest. */
  update(intervals: Intervals): void {
    const given = Object.entries(intervals).filter(([, seconds]) => seconds !== undefined);
    this.#config = { ...this.#config, ...Object.fromEntries(given) };
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Calls the listener at every update, until the returned function is called. */
  onUpdate(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }
}
