import type { CommandContext } from '../commands/handler.ts';
import type { LogSink } from './log-follower.ts';
import type { LogLine, LogLines } from './log-lines.ts';
import { orAborted } from './or-aborted.ts';

/** Writes lines to a command's output, joined where they are of one source, and counts them. */
export class LineWriter {
  readonly #context: Pick<CommandContext, 'signal' | 'output'>;
  #lines = 0;
  #bytes = 0;

  constructor(context: Pick<CommandContext, 'signal' | 'output'>) {
    this.#context = context;
  }

  get written(): { readonly lines: number; readonly bytes: number } {
    return { lines: this.#lines, bytes: this.#bytes };
  }

  /** Resolves when there is room for more; rejects with the signal's reason, also while it waits for room. */
  async write(lines: readonly LogLine[]): Promise<void> {
    let begin = 0;
    for (let end = 1; end <= lines.length; end += 1) {
      const source = lines[begin]?.source;
      if (source === undefined || lines[end]?.source === source) continue;
      await this.#writeOf(source, lines.slice(begin, end));
      begin = end;
    }
  }

  async #writeOf(source: LogLine['source'], lines: readonly LogLine[]): Promise<void> {
    const { output, signal } = this.#context;
    const data = Buffer.concat(lines.map(({ text }) => text));
    this.#lines += lines.length;
    this.#bytes += data.length;
    await orAborted(output.write(source, data), signal);
  }
}

/** Writes what `lines` makes of a log's messages. */
export function writeLines(lines: LogLines, writer: LineWriter): LogSink {
  return {
    take: (messages) => writer.write(messages.flatMap((message) => lines.take(message) ?? [])),
    end: () => writer.write(lines.end('\n')),
  };
}
