import type { Logger } from 'pino';
import type { AgentRepository } from '../db/agent-repository.ts';

interface DeparturesOptions {
  readonly agents: Pick<AgentRepository, 'disconnected' | 'disconnectAll'>;
  readonly log: Logger;
  readonly isConnected: (agentId: string) => boolean;
  /** Runs a step that no admission comes between: it would be overwritten. */
  readonly exclusively: (step: () => Promise<void>) => Promise<void>;
}

/** Writes which agents went. What the database does not take is kept for `retry`. */
export class Departures {
  readonly #options: DeparturesOptions;
  /** When each agent went that the database still calls connected. */
  readonly #unwritten = new Map<string, number>();

  constructor(options: DeparturesOptions) {
    this.#options = options;
  }

  async record(agentId: string, at: number): Promise<void> {
    const isRefusing = this.#unwritten.size > 0;
    this.#unwritten.set(agentId, at);
    // Each try at a locked database holds everything up: one at a time is enough.
    if (!isRefusing) await this.#write(agentId, at);
  }

  /** For the end of the hub; the next start corrects what the database does not take. */
  async recordAll(at: number): Promise<void> {
    this.#unwritten.clear();
    await this.#written(() => this.#options.agents.disconnectAll(at));
  }

  /** Tries again what could not be written, but for agents that came back. */
  async retry(): Promise<void> {
    if (this.#unwritten.size === 0) return;
    await this.#options.exclusively(async () => {
      for (const [agentId, at] of this.#unwritten) {
        if (this.#options.isConnected(agentId)) this.#unwritten.delete(agentId);
        else if (!(await this.#write(agentId, at))) return;
      }
    });
  }

  async #write(agentId: string, at: number): Promise<boolean> {
    const written = await this.#written(() => this.#options.agents.disconnected(agentId, at));
    if (written) this.#unwritten.delete(agentId);
    return written;
  }

  async #written(departure: () => Promise<unknown>): Promise<boolean> {
    try {
      await departure();
      return true;
    } catch (error) {
      this.#options.log.error({ err: error }, 'an agent’s departure could not be written');
      return false;
    }
  }
}
