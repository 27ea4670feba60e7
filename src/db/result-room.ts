interface OfActor {
  bytes: number;
  readonly agents: Map<string, number>;
}

/** Whose results are to give way. */
export interface ResultOwner {
  readonly actor: string;
  readonly agentId: string;
}

/** What kept results take: of each actor, and of each agent that it asked. */
export class ResultRoom {
  readonly #actors = new Map<string, OfActor>();
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Notes that an owner's results take so much more, or less. */
  add({ actor, agentId }: ResultOwner, bytes: number): void {
    const own = this.#actors.get(actor) ?? { bytes: 0, agents: new Map<string, number>() };
    const ofAgent = (own.agents.get(agentId) ?? 0) + bytes;
    if (ofAgent > 0) own.agents.set(agentId, ofAgent);
    else own.agents.delete(agentId);
    own.bytes += bytes;
    this.#bytes += bytes;
    if (own.agents.size > 0) this.#actors.set(actor, own);
    else this.#actors.delete(actor);
  }

  /**
   * Of the actor that has most, what came from the agent that takes most of it: so neither a caller nor
   * an agent that answers much costs the others their results.
   */
  greediest(): ResultOwner | undefined {
    const actor = most(this.#actors, ({ bytes }) => bytes);
    const agents = actor === undefined ? undefined : this.#actors.get(actor)?.agents;
    const agentId = agents && most(agents, (bytes) => bytes);
    return actor === undefined || agentId === undefined ? undefined : { actor, agentId };
  }
}

function most<T>(map: ReadonlyMap<string, T>, amountOf: (value: T) => number): string | undefined {
  let found: string | undefined;
  let amount = 0;
  for (const [key, value] of map) {
    if (amountOf(value) <= amount) continue;
    found = key;
    amount = amountOf(value);
  }
  return found;
}
