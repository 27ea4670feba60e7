/** The answers that a connected agent still owes from an earlier socket: those it said it holds. */
export class OwedAnswers {
  readonly #ids: Set<string>;
  readonly #none = Promise.withResolvers<void>();

  constructor(ids: readonly string[]) {
    this.#ids = new Set(ids);
    this.#resolveIfNone();
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  answered(id: string): void {
    if (this.#ids.delete(id)) this.#resolveIfNone();
  }

  /** Resolves when none is left. */
  none(): Promise<void> {
    return this.#none.promise;
  }

  #resolveIfNone(): void {
    if (this.#ids.size === 0) this.#none.resolve();
  }
}
