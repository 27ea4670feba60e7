import { STORED_BATCH_MAX_COUNT, STORED_INTERVAL_MS } from '../../protocol/limits.ts';

/**
 * Which answers an agent need not keep any longer: it is told in batches. That of a call with a row
 * of its own is one of them once it has arrived and its row is written.
 */
export class StoredAnswers implements Disposable {
  readonly #tell: (ids: string[]) => void;
  /** Calls whose row is not written yet, and whether they were answered. */
  readonly #unwritten = new Map<string, boolean>();
  #ids: string[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(tell: (ids: string[]) => void) {
    this.#tell = tell;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  /** Begins a call whose row somebody writes, who says `written` then. */
  begun(id: string): void {
    this.#unwritten.set(id, false);
  }

  /** Whether the call has a row that is not written yet. */
  isUnwritten(id: string): boolean {
    return this.#unwritten.has(id);
  }

  answered(id: string): void {
    if (this.#unwritten.has(id)) this.#unwritten.set(id, true);
    else this.#add(id);
  }

  written(id: string): void {
    const wasAnswered = this.#unwritten.get(id);
    this.#unwritten.delete(id);
    if (wasAnswered === true) this.#add(id);
  }

  #add(id: string): void {
    this.#ids.push(id);
    // At full speed an agent would drop what it keeps before it is told.
    if (this.#ids.length >= STORED_BATCH_MAX_COUNT) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), STORED_INTERVAL_MS).unref();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#tell(this.#ids.splice(0));
  }
}
