import { rmSync, writeFileSync } from 'node:fs';
import type { Logger } from 'pino';

/** There exactly while the agent is authenticated: what the image's HEALTHCHECK looks for. */
export const HEALTH_FILE = '/tmp/tomo-agent.connected';

/** Keeps the health file true; one that an earlier process left is removed at once. */
export class HealthFile {
  readonly #log: Logger;
  readonly #file: string;

  constructor(log: Logger, file: string = HEALTH_FILE) {
    this.#log = log;
    this.#file = file;
    this.set(false);
  }

  // Synchronous, so that two changes in short order cannot overtake each other.
  set(isConnected: boolean): void {
    try {
      if (isConnected) writeFileSync(this.#file, '');
      else rmSync(this.#file, { force: true });
    } catch (error) {
      this.#log.warn({ err: error }, 'health file not changed: the container’s health is wrong');
    }
  }
}
