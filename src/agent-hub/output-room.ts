/** Whose room something takes. */
interface Owned {
  readonly agentId: string;
}

interface OfAgent<T> {
  bytes: number;
  /** What each takes; the one unread for longest first. */
  readonly outputs: Map<T, number>;
}

/** How much memory the outputs of all commands take, and which one is to give way. */
export class OutputRoom<T extends Owned> {
  readonly #agents = new Map<string, OfAgent<T>>();
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Notes what an output takes now. */
  set(output: T, bytes: number): void {
    const agent = this.#agents.get(output.agentId) ?? { bytes: 0, outputs: new Map() };
    const more = bytes - (agent.outputs.get(output) ?? 0);
    if (bytes === 0) agent.outputs.delete(output);
    else agent.outputs.set(output, bytes);
    agent.bytes += more;
    this.#bytes += more;
    if (agent.outputs.size === 0) this.#agents.delete(output.agentId);
    else this.#agents.set(output.agentId, agent);
  }

  /** Somebody read it: it is the last one of its agent to give way. */
  read(output: T): void {
    const outputs = this.#agents.get(output.agentId)?.outputs;
    const bytes = outputs?.get(output);
    if (outputs === undefined || bytes === undefined) return;
    outputs.delete(output);
    outputs.set(output, bytes);
  }

  /** Of the agent that takes most, so that none costs the others theirs, the one unread for longest. */
  longestUnread(): T | undefined {
    let greediest: OfAgent<T> | undefined;
    for (const agent of this.#agents.values()) {
      if (agent.bytes > (greediest?.bytes ?? 0)) greediest = agent;
    }
    return greediest?.outputs.keys().next().value;
  }
}
