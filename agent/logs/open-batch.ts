import { LOG_BATCH_CONTAINERS_MAX_COUNT, LOG_BATCH_MAX_BYTES } from '../../protocol/limits.ts';
import type { LogBatch, LogLine } from '../../protocol/log-collection.ts';
import type { LoggedLine } from './logged-lines.ts';

/** A line that is new. */
export interface CollectedLine {
  readonly container: { readonly id: string; readonly name: string };
  readonly line: LoggedLine;
}

/** What is around the lines in their frame. */
const ENVELOPE_BYTES = 512;
/** What is around a text in its line. */
const LINE_BYTES = 128;

/** Lines that gather for one `logs.push`. */
export class OpenBatch {
  readonly containers: LogBatch['containers'] = [];
  readonly lines: LogLine[] = [];
  readonly #places = new Map<string, number>();
  readonly #last = new Map<string, CollectedLine>();
  #bytes = ENVELOPE_BYTES;

  get isEmpty(): boolean {
    return this.lines.length === 0;
  }

  /** The last line of each output of each container. */
  get last(): readonly CollectedLine[] {
    return [...this.#last.values()];
  }

  fits(bytes: number): boolean {
    if (this.containers.length >= LOG_BATCH_CONTAINERS_MAX_COUNT) return false;
    return this.#bytes + bytes <= LOG_BATCH_MAX_BYTES;
  }

  /** `bytes`: its lineBytes. */
  add(collected: CollectedLine, bytes: number): void {
    const { container, line } = collected;
    const key = `${container.id} ${container.name}`;
    let index = this.#places.get(key);
    if (index === undefined) {
      index = this.containers.length;
      this.containers.push(container);
      this.#places.set(key, index);
    }
    this.#bytes += bytes;
    // The engine's log has no line of lost ones to go on from.
    if (!line.isLost) this.#last.set(`${container.id} ${line.stream}`, collected);
    this.lines.push({
      container: index,
      stream: line.stream,
      at: line.place.at,
      n: line.place.n,
      text: line.text,
      ...(line.isCut ? { cut: true } : {}),
      ...(line.isLost ? { lost: true } : {}),
    });
  }
}

/** What a line takes in its frame, with its container as if each line named its own. */
export function lineBytes({ container, line }: CollectedLine): number {
  const { id, name } = container;
  return Buffer.byteLength(JSON.stringify(line.text)) + id.length + name.length + LINE_BYTES;
}
