import type { CommandOutput } from '../../agent/commands/handler.ts';

/** Takes what a command puts out, as slowly as a test wants it. */
export class CollectedOutput implements CommandOutput {
  readonly steps: string[] = [];
  readonly #take: (stream: 'stdout' | 'stderr', text: string) => void;
  #open: Promise<void> = Promise.resolve();
  #resume: () => void = () => undefined;
  #waiting = 0;
  #watchers = new Set<() => void>();

  constructor(take: (stream: 'stdout' | 'stderr', text: string) => void) {
    this.#take = take;
  }

  /** Writers that wait because of `pause`. */
  get waiting(): number {
    return this.#waiting;
  }

  async write(stream: 'stdout' | 'stderr', data: Buffer): Promise<void> {
    this.#take(stream, data.toString());
    this.#waiting += 1;
    this.#changed();
    await this.#open;
    this.#waiting -= 1;
  }

  progress(message: string): void {
    this.steps.push(message);
    this.#changed();
  }

  /** Lets nobody write any more until `resume`. */
  pause(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#open = promise;
    this.#resume = resolve;
  }

  resume(): void {
    this.#resume();
    this.#open = Promise.resolve();
  }

  /** Resolves once that holds; looked at whenever something was put out. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        this.#watchers.add(resolve);
      });
    }
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher();
    this.#watchers.clear();
  }
}

/** Output by lines, as they are put together from what comes. */
export class CollectedLines extends CollectedOutput {
  readonly lines: string[];

  constructor() {
    const lines: string[] = [];
    const begun = { stdout: '', stderr: '' };
    super((stream, text) => {
      const parts = (begun[stream] + text).split('\n');
      begun[stream] = parts.pop() ?? '';
      lines.push(...parts);
    });
    this.lines = lines;
  }
}
