/**
 * Whether who began a command takes its result, so that it need not be kept. That is settled once, and
 * whoever was told before that the command goes on finds the result when coming back.
 */
export class ResultTaking {
  #isAwaited = false;
  #isAskedFor = false;
  #isTaken = false;

  /** Somebody else is about to be told how the command stands. */
  keep(): void {
    this.#isAskedFor = true;
  }

  /** The result is there and is about to be written: whether it need not be. */
  settle(): boolean {
    this.#isTaken = this.#isAwaited && !this.#isAskedFor;
    return this.#isTaken;
  }

  /**
   * The wait of who began the command, `ended` being its end: also if the wait was over in the moment
   * in which the result was taken for it.
   */
  async through<T>(waiting: Promise<T | undefined>, ended: Promise<T>): Promise<T | undefined> {
    this.#isAwaited = true;
    try {
      return (await waiting) ?? (this.#isTaken ? await ended : undefined);
    } finally {
      this.#isAwaited = false;
    }
  }
}
