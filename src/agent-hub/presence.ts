import type { AgentConnection } from './agent-connection.ts';
import { AgentWaits } from './agent-waits.ts';
import type { ConnectedAgent } from './connected-agent.ts';

/**
 * The open sockets of all agents, and which one of each agent's is the current one. Beside it may be
 * open: its candidate's, those that were replaced, and those that are closing.
 */
export class Presence {
  readonly #current = new Map<string, AgentConnection>();
  readonly #open = new Set<AgentConnection>();
  readonly #arrivals = new AgentWaits<ConnectedAgent>();

  /** Every open connection. */
  get open(): ReadonlySet<AgentConnection> {
    return this.#open;
  }

  /** How many agents are connected. */
  get count(): number {
    return this.#current.size;
  }

  opened(connection: AgentConnection): void {
    this.#open.add(connection);
  }

  closed(connection: AgentConnection): void {
    this.#open.delete(connection);
  }

  openOf(agentId: string): AgentConnection[] {
    return [...this.#open].filter(({ agent }) => agent.agentId === agentId);
  }

  current(agentId: string): AgentConnection | undefined {
    return this.#current.get(agentId);
  }

  isCurrent(connection: AgentConnection): boolean {
    return this.#current.get(connection.agent.agentId) === connection;
  }

  /** Makes a connection its agent's current one. Answers the one that was. */
  replace(connection: AgentConnection): AgentConnection | undefined {
    const { agentId } = connection.agent;
    const older = this.#current.get(agentId);
    this.#current.set(agentId, connection);
    this.#arrivals.end(agentId, connection.agent);
    return older;
  }

  /** Its agent is away from now on. False if it is not the agent's current connection any more. */
  drop(connection: AgentConnection): boolean {
    return this.isCurrent(connection) && this.#current.delete(connection.agent.agentId);
  }

  /**
   * The agent as soon as it is connected: at once if it is, unless by a socket older than `since`
   * (milliseconds since the epoch). Rejects with COMMAND_CANCELLED when `signal` aborts.
   */
  async waitForConnection(
    agentId: string,
    { since = 0, signal }: { readonly since?: number; readonly signal: AbortSignal },
  ): Promise<ConnectedAgent> {
    const agent = this.#current.get(agentId)?.agent;
    if (agent !== undefined && agent.connectedAt >= since) return agent;
    return this.#arrivals.next(agentId, signal);
  }

  /** Resolves when the agent's present socket, if any, has closed. Rejects as waitForConnection. */
  async waitForDeparture(agentId: string, signal: AbortSignal): Promise<void> {
    const connection = this.#current.get(agentId);
    if (connection === undefined) return;
    const departures = new AgentWaits<void>();
    void connection.closed().then(() => departures.end(agentId));
    await departures.next(agentId, signal);
  }
}
