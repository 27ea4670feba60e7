import type { Logger } from 'pino';
import type { Answer } from './answer.ts';
import type { RunningOutput } from './command-output.ts';

export interface HeldAnswer {
  readonly answer: Answer;
  /** What was said before it, of which the hub may not have acknowledged all. */
  readonly output: RunningOutput;
  readonly bytes: number;
}

interface HeldLimits {
  /** Commands that run or whose answer is held. */
  readonly heldMaxCount: number;
  readonly heldMaxBytes: number;
}

/** Answers that the hub has not stored yet, the oldest first. Past its limits the oldest go. */
export class HeldAnswers {
  readonly #limits: HeldLimits;
  readonly #log: Logger;
  readonly #answers = new Map<string, HeldAnswer>();
  #bytes = 0;

  constructor(limits: HeldLimits, log: Logger) {
    this.#limits = limits;
    this.#log = log;
  }

  get ids(): string[] {
    return [...this.#answers.keys()];
  }

  get(id: string): HeldAnswer | undefined {
    return this.#answers.get(id);
  }

  values(): Iterable<HeldAnswer> {
    return this.#answers.values();
  }

  add(answer: Answer, output: RunningOutput): void {
    const bytes = answer.bytes + output.bytes;
    this.#answers.set(answer.id, { answer, output, bytes });
    this.#bytes += bytes;
  }

  /** Drops the oldest past the limits. `isHeard`: the hub was sent them and will rarely ask again. */
  trim(runningCount: number, { isHeard }: { isHeard: boolean }): void {
    const { heldMaxCount, heldMaxBytes } = this.#limits;
    for (const id of this.#answers.keys()) {
      if (runningCount + this.#answers.size <= heldMaxCount && this.#bytes <= heldMaxBytes) return;
      const level = isHeard ? 'debug' : 'warn';
      this.#log[level]({ command: id }, 'an answer that the hub has not stored is dropped');
      this.forget(id);
    }
  }

  forget(id: string): void {
    this.#bytes -= this.#answers.get(id)?.bytes ?? 0;
    this.#answers.delete(id);
  }

  clear(): void {
    this.#answers.clear();
    this.#bytes = 0;
  }
}
