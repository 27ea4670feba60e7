interface WaitingRoomLimits {
  readonly max: number;
  readonly perAddressMax: number;
}

/**
 * Who waits, by address, longest first. One too many of an address, or of all, costs the place of
 * the one that waits longest: of that address, or of the address that has most.
 */
export class WaitingRoom<T> {
  readonly #limits: WaitingRoomLimits;
  readonly #byAddress = new Map<string, Set<T>>();
  /** Addresses by how many of theirs wait, so that the one that has most is found at once. */
  readonly #byCount = new Map<number, Set<string>>();
  #most = 0;
  #size = 0;

  constructor(limits: WaitingRoomLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#size;
  }

  /** Answers who lost its place for it, if any. */
  enter(address: string, guest: T): T | undefined {
    const waiting = this.#byAddress.get(address) ?? new Set();
    this.#byAddress.set(address, waiting);
    waiting.add(guest);
    this.#size += 1;
    this.#counted(address, waiting.size - 1, waiting.size);
    if (waiting.size > this.#limits.perAddressMax) return this.#removeOldest(address);
    if (this.#size > this.#limits.max) return this.#removeOldest(this.#fullestAddress());
    return undefined;
  }

  leave(address: string, guest: T): void {
    const waiting = this.#byAddress.get(address);
    if (waiting?.delete(guest) !== true) return;
    if (waiting.size === 0) this.#byAddress.delete(address);
    this.#size -= 1;
    this.#counted(address, waiting.size + 1, waiting.size);
  }

  #removeOldest(address: string): T | undefined {
    const [oldest] = this.#byAddress.get(address) ?? [];
    if (oldest !== undefined) this.leave(address, oldest);
    return oldest;
  }

  #fullestAddress(): string {
    const [address = ''] = this.#byCount.get(this.#most) ?? [];
    return address;
  }

  #counted(address: string, before: number, after: number): void {
    const former = this.#byCount.get(before);
    former?.delete(address);
    if (former?.size === 0) this.#byCount.delete(before);
    if (after > 0) {
      const peers = this.#byCount.get(after) ?? new Set();
      this.#byCount.set(after, peers.add(address));
    }
    // Counts change by one, so that the greatest one does too.
    if (after > this.#most || !this.#byCount.has(this.#most)) this.#most = after;
  }
}
