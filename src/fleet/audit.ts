import type { Logger } from 'pino';
import type {
  CommandBeginning,
  CommandEnd,
  CommandRepository,
  CommandRow,
} from '../db/command-repository.ts';
import { DatabaseError } from '../db/errors.ts';

interface Waiting {
  readonly end: CommandEnd;
  readonly onWritten: () => void;
}

const RETRY_MS = 2_000;
/** Ends of commands that wait for a database that refuses; past it the oldest are given up. */
const WAITING_MAX_COUNT = 10_000;
/** What their results may take together; past it ends wait without them. */
const WAITING_RESULTS_MAX_CHARS = 32 * 1024 * 1024;

/** Who ran what, and how it ended. A database that refuses delays a row, never an answer. */
export class Audit implements AsyncDisposable {
  readonly #commands: CommandRepository;
  readonly #log: Logger;
  readonly #waiting = new Map<string, Waiting>();
  /** Characters of the results that wait. */
  #waitingChars = 0;
  #isLocked = false;
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
    // Each try at a locked database holds everything up: one every few seconds is enough.
    if (this.#isLocked) return this.#wait(id, { end, onWritten });
    try {
      await this.#commands.finish(id, end);
      onWritten();
    } catch (error) {
      this.#log.error({ err: error, command: id }, 'the end of a command is recorded later');
      this.#isLocked = isLocked(error);
      this.#wait(id, { end, onWritten });
    }
  }

  /** A running command's row as it is once its end is recorded, if that waits. */
  ended(row: CommandRow): CommandRow {
    const end = this.#waiting.get(row.id)?.end;
    if (end === undefined) return row;
    const { status, errorCode = null, errorMessage = null, durationMs, resultBytes = null } = end;
    return { ...row, status, errorCode, errorMessage, durationMs, resultBytes };
  }

  /** The result of a command whose end waits to be recorded. */
  unwrittenResult(id: string): string | undefined {
    return this.#waiting.get(id)?.end.result;
  }

  /** Tries once more to record what waits. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#retry();
    clearTimeout(this.#timer);
  }

  #wait(id: string, { end, onWritten }: Waiting): void {
    const { result, ...rest } = end;
    const chars = this.#waitingChars + (result?.length ?? 0);
    // Without its result, rather than without an end.
    const hasRoom = chars <= WAITING_RESULTS_MAX_CHARS;
    this.#waiting.set(id, { end: hasRoom ? end : rest, onWritten });
    if (hasRoom) this.#waitingChars = chars;
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size > WAITING_MAX_COUNT && oldest !== undefined) this.#forget(oldest);
    this.#schedule();
  }

  #forget(id: string): void {
    this.#waitingChars -= this.#waiting.get(id)?.end.result?.length ?? 0;
    this.#waiting.delete(id);
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#retry();
    }, RETRY_MS).unref();
  }

  async #retry(): Promise<void> {
    for (const [id, { end, onWritten }] of this.#waiting) {
      try {
        await this.#commands.finish(id, end);
        this.#isLocked = false;
        this.#forget(id);
        onWritten();
      } catch (error) {
        this.#isLocked = isLocked(error);
        this.#schedule();
        return;
      }
    }
  }
}

function isLocked(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === 'locked';
}
