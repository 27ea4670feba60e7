import type { Logger } from 'pino';
import type { CommandBeginning, CommandEnd, CommandRepository } from '../db/command-repository.ts';

interface Waiting {
  readonly end: CommandEnd;
  readonly onWritten: () => void;
}

const RETRY_MS = 2_000;
/** Ends of commands that wait for a database that refuses; past it the oldest are given up. */
const WAITING_MAX_COUNT = 10_000;

/** Who ran what, and how it ended. A database that refuses delays a row, never an answer. */
export class Audit implements AsyncDisposable {
  readonly #commands: CommandRepository;
  readonly #log: Logger;
  readonly #waiting = new Map<string, Waiting>();
  #timer: NodeJS.Timeout | undefined;

  constructor(commands: CommandRepository, log: Logger) {
    this.#commands = commands;
    this.#log = log;
  }

  /** Throws DatabaseError: a command that cannot be recorded is not begun. */
  async begin(command: CommandBeginning): Promise<void> {
    await this.#commands.begin(command);
  }

  /** All of them or none. Throws DatabaseError. */
  async beginAll(commands: readonly CommandBeginning[]): Promise<void> {
    await this.#commands.beginAll(commands);
  }

  /** `onWritten` is called once the row says so, which may be later. */
  async finish(
    id: string,
    end: CommandEnd,
    onWritten: () => void = () => undefined,
  ): Promise<void> {
    try {
      await this.#commands.finish(id, end);
      onWritten();
    } catch (error) {
      this.#log.error({ err: error, command: id }, 'the end of a command is recorded later');
      this.#wait(id, { end, onWritten });
    }
  }

  /** Tries once more to record what waits. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    await this.#retry();
    clearTimeout(this.#timer);
  }

  #wait(id: string, waiting: Waiting): void {
    this.#waiting.set(id, waiting);
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size > WAITING_MAX_COUNT && oldest !== undefined)
      this.#waiting.delete(oldest);
    this.#schedule();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#retry(), RETRY_MS);
    this.#timer.unref();
  }

  async #retry(): Promise<void> {
    for (const [id, { end, onWritten }] of this.#waiting) {
      try {
        await this.#commands.finish(id, end);
        this.#waiting.delete(id);
        onWritten();
      } catch {
        this.#schedule();
        return;
      }
    }
  }
}
