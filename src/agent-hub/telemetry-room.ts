/** How many rows, and their bytes. */
interface Amount {
  readonly rows: number;
  readonly bytes: number;
}

interface RoomLimits {
  /** Of one agent, so that none can take the room of the others. */
  readonly agent: Amount;
  readonly all: Amount;
}

const NOTHING: Amount = { rows: 0, bytes: 0 };

/** Counts what agents take of a room until it is cleared. */
export class TelemetryRoom {
  readonly #limits: RoomLimits;
  readonly #ofAgent = new Map<string, Amount>();
  #ofAll = NOTHING;

  constructor(limits: RoomLimits) {
    this.#limits = limits;
  }

  /** Whether there is room for so much more of the agent, which then has it. */
  takes(agentId: string, more: Amount): boolean {
    const ofAgent = sum(this.#ofAgent.get(agentId) ?? NOTHING, more);
    const ofAll = sum(this.#ofAll, more);
    if (!fits(ofAgent, this.#limits.agent) || !fits(ofAll, this.#limits.all)) return false;
    this.#ofAgent.set(agentId, ofAgent);
    this.#ofAll = ofAll;
    return true;
  }

  clear(): void {
    this.#ofAgent.clear();
    this.#ofAll = NOTHING;
  }
}

function sum(one: Amount, other: Amount): Amount {
  return { rows: one.rows + other.rows, bytes: one.bytes + other.bytes };
}

function fits({ rows, bytes }: Amount, max: Amount): boolean {
  return rows <= max.rows && bytes <= max.bytes;
}
