/** Opens when an interval has passed since it was armed; whoever goes through closes it. */
export class Gate implements Disposable {
  readonly #intervalMs: number;
  readonly #onOpen: () => void;
  #timer: NodeJS.Timeout | undefined;
  #isOpen: boolean;

  constructor(intervalMs: number, onOpen: () => void, { isOpen = false } = {}) {
    this.#intervalMs = intervalMs;
    this.#onOpen = onOpen;
    this.#isOpen = isOpen;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  arm(): void {
    if (this.#isOpen) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#isOpen = true;
      this.#onOpen();
    }, this.#intervalMs).unref();
  }

  close(): void {
    this.#isOpen = false;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
