interface Last {
  readonly instanceId: string;
  readonly seq: number;
}

/** Knows the events that an agent sends again because it did not hear that they were taken. */
export class EventSequence {
  readonly #last = new Map<string, Last>();

  /** Whether the event of this process of the agent is a new one; it is an old one from now on. */
  isNew(agentId: string, instanceId: string, seq: number): boolean {
    const last = this.#last.get(agentId);
    if (last?.instanceId === instanceId && seq <= last.seq) return false;
    this.#last.set(agentId, { instanceId, seq });
    return true;
  }

  /** The agent was removed. */
  forget(agentId: string): void {
    this.#last.delete(agentId);
  }
}
