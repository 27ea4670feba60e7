import { ACK_METHOD } from '../../protocol/json-rpc.ts';
import { SEND_BACKLOG_MAX_BYTES } from '../../protocol/limits.ts';

/** How long it waits for an agent that does not read. */
const RETRY_MS = 100;

interface OutputAcksOptions {
  /** Whether it was sent. */
  readonly notify: (method: string, params: object) => boolean;
  readonly backlogBytes: () => number;
}

/**
 * Tells an agent how much of its output was taken: once for all that came together, so that many small
 * pieces do not become as many answers.
 */
export class OutputAcks implements Disposable {
  readonly #options: OutputAcksOptions;
  readonly #due = new Map<string, number>();
  #soon: NodeJS.Immediate | undefined;
  #later: NodeJS.Timeout | undefined;

  constructor(options: OutputAcksOptions) {
    this.#options = options;
  }

  [Symbol.dispose](): void {
    clearImmediate(this.#soon);
    clearTimeout(this.#later);
    this.#due.clear();
  }

  /** All of the command's output before the place `bytes` is taken. */
  taken(id: string, bytes: number): void {
    this.#due.set(id, Math.max(bytes, this.#due.get(id) ?? 0));
    if (this.#later === undefined) this.#soon ??= setImmediate(() => this.#tell());
  }

  #tell(): void {
    this.#soon = undefined;
    this.#later = undefined;
    const { notify, backlogBytes } = this.#options;
    if (backlogBytes() > SEND_BACKLOG_MAX_BYTES) {
      this.#later = setTimeout(() => this.#tell(), RETRY_MS).unref();
      return;
    }
    for (const [id, bytes] of this.#due) notify(ACK_METHOD, { id, bytes });
    this.#due.clear();
  }
}
