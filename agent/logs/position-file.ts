import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { LinePlaces } from '../docker/log-position.ts';
import type { CollectedLine } from './open-batch.ts';

/** Containers of which it is remembered how far their logs were taken; past it the oldest go. */
const POSITIONS_MAX_COUNT = 2_000;
const FILE = 'log-positions.json';
const OWNER_ONLY = 0o600;
const NANOSECONDS_PER_MS = '000000';

const at = z.string().regex(/^\d{1,20}$/);
const placeSchema = z.object({
  at,
  n: z.int().nonnegative(),
  unended: z.object({ at, bytes: z.int().positive() }).optional(),
});
const fileSchema = z.object({
  /** From when on logs are collected, in nanoseconds since 1970. */
  since: at,
  positions: z.record(
    z.string(),
    z.object({ stdout: placeSchema.optional(), stderr: placeSchema.optional() }),
  ),
});

/**
 * How far the logs of the containers are stored at the hub, in DATA_DIR: a process that is started
 * anew goes on from there. Not written at every change: what is read twice the hub knows.
 */
export class PositionFile {
  readonly #file: string;
  readonly #log: Logger;
  #since: string | undefined;
  #positions = new Map<string, LinePlaces>();
  #isChanged = false;
  #writing: Promise<void> = Promise.resolve();

  constructor(dataDir: string, log: Logger) {
    this.#file = path.join(dataDir, FILE);
    this.#log = log;
  }

  /** From when on logs are collected, in nanoseconds since 1970. */
  get since(): string {
    return this.#since ?? '0';
  }

  /** Logs are collected from then on (milliseconds since the epoch), unless they were before. */
  begin(at: number): void {
    if (this.#since !== undefined) return;
    this.#since = `${at}${NANOSECONDS_PER_MS}`;
    this.#isChanged = true;
  }

  of(containerId: string): LinePlaces | undefined {
    return this.#positions.get(containerId);
  }

  /** A file that cannot be read counts as none: logs are then collected from now on. */
  async load(): Promise<void> {
    const text = await readFile(this.#file, 'utf8').catch(() => 'null');
    const kept = fileSchema.safeParse(parseJson(text));
    if (!kept.success) return;
    this.#since = kept.data.since;
    this.#positions = new Map(Object.entries(kept.data.positions));
  }

  stored(lines: Iterable<CollectedLine>): void {
    for (const { container, line } of lines) {
      const position = { ...this.#positions.get(container.id), [line.stream]: line.place };
      this.#positions.delete(container.id);
      this.#positions.set(container.id, position);
      this.#isChanged = true;
    }
    for (const id of this.#positions.keys()) {
      if (this.#positions.size <= POSITIONS_MAX_COUNT) break;
      this.#positions.delete(id);
    }
  }

  /** These are not the oldest, however long they have logged nothing. */
  renew(containerIds: Iterable<string>): void {
    for (const id of containerIds) {
      const position = this.#positions.get(id);
      if (position === undefined) continue;
      this.#positions.delete(id);
      this.#positions.set(id, position);
    }
  }

  forget(containerId: string): void {
    this.#isChanged = this.#positions.delete(containerId) || this.#isChanged;
  }

  /** Logs are not collected any more. */
  async clear(): Promise<void> {
    this.#since = undefined;
    this.#positions = new Map();
    this.#isChanged = false;
    this.#writing = this.#writing
      .then(() => rm(this.#file, { force: true }))
      .catch(() => undefined);
    await this.#writing;
  }

  /** Writes what has changed. */
  async write(): Promise<void> {
    if (!this.#isChanged) return;
    this.#isChanged = false;
    this.#writing = this.#writing.then(() => this.#replace());
    await this.#writing;
  }

  async #replace(): Promise<void> {
    const positions = Object.fromEntries(this.#positions);
    const temporary = `${this.#file}.tmp`;
    try {
      await mkdir(path.dirname(this.#file), { recursive: true });
      const text = JSON.stringify({ since: this.since, positions });
      await writeFile(temporary, text, { mode: OWNER_ONLY });
      await rename(temporary, this.#file);
    } catch (error) {
      this.#isChanged = true;
      this.#log.warn({ err: error }, 'how far logs are collected cannot be written');
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
