/** What becomes of an event whose agent keeps it until it is acknowledged. */
export interface Receipt {
  /** It is not to be written: the agent sends it again, after others that could not be written. */
  readonly isVoid: boolean;
  kept(): void;
  lost(): void;
}

/** One event, by the process of the agent that numbered it. */
interface Numbered {
  readonly agentId: string;
  readonly instanceId: string;
  readonly seq: number;
}

interface Handling {
  /** Puts the event where it is written from. Whether there was room. */
  readonly keep: (receipt: Receipt) => boolean;
  /** Tells the agent that all events up to this one are kept. */
  readonly acknowledge: (seq: number) => void;
}

/** Acknowledges events when they are kept, and knows those that agents send again. */
export class EventSequence {
  readonly #streams = new Map<string, { instanceId: string; stream: Stream }>();

  take({ agentId, instanceId, seq }: Numbered, handling: Handling): void {
    let known = this.#streams.get(agentId);
    if (known?.instanceId !== instanceId) {
      known = { instanceId, stream: new Stream() };
      this.#streams.set(agentId, known);
    }
    known.stream.take(seq, handling);
  }

  /** The agent was removed. */
  forget(agentId: string): void {
    this.#streams.delete(agentId);
  }
}

/**
 * The events of one process. An acknowledgement is for all up to its number, so that after one that
 * was not kept none is taken until the agent begins anew.
 */
class Stream {
  #heard = 0;
  #taken = 0;
  #kept = 0;
  #hasGap = false;
  /** Those taken since the last loss, which make the others void. */
  #round = { isVoid: false };
  /** By the socket on which something came last. */
  #acknowledge: Handling['acknowledge'] = () => undefined;

  take(seq: number, { keep, acknowledge }: Handling): void {
    this.#acknowledge = acknowledge;
    // Numbers only grow, but for those that are sent again, which are all that the agent still has.
    if (seq <= this.#heard) this.#hasGap = false;
    this.#heard = seq;
    if (seq <= this.#kept) return acknowledge(seq);
    if (this.#hasGap || seq <= this.#taken) return;
    if (keep(this.#receipt(seq))) this.#taken = seq;
    else this.#hasGap = true;
  }

  #receipt(seq: number): Receipt {
    const round = this.#round;
    return {
      get isVoid() {
        return round.isVoid;
      },
      kept: () => {
        if (round.isVoid) return;
        this.#kept = seq;
        if (seq === this.#taken) this.#acknowledge(seq);
      },
      lost: () => {
        if (round.isVoid) return;
        round.isVoid = true;
        this.#round = { isVoid: false };
        this.#taken = this.#kept;
        this.#hasGap = true;
      },
    };
  }
}
