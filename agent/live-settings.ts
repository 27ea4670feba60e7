import { type AgentConfig, agentConfigSchema } from '../protocol/handshake.ts';

type Intervals = { readonly [Name in keyof AgentConfig]?: AgentConfig[Name] | undefined };

/** What the hub last told this agent: who it is, and its intervals. */
export class LiveSettings {
  readonly #listeners = new Set<() => void>();
  #agentId: string | null = null;
  #config: AgentConfig = agentConfigSchema.parse({});

  /** null until the agent has been authenticated. */
  get agentId(): string | null {
    return this.#agentId;
  }

  get config(): AgentConfig {
    return this.#config;
  }

  welcome(agentId: string, config: AgentConfig): void {
    this.#agentId = agentId;
    this.#config = config;
  }

  /** Changes what is given and leaves the rest. */
  update(intervals: Intervals): void {
    const given = Object.entries(intervals).filter(([, seconds]) => seconds !== undefined);
    this.#config = { ...this.#config, ...Object.fromEntries(given) };
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
