import { randomUUID } from 'node:crypto';

/** Servers whose changes are told apart; past it those that changed longest ago count as one. */
const SERVERS_MAX_COUNT = 20_000;

/** What has changed since a version. */
export interface ChangesSince {
  /** To ask with next. */
  readonly version: string;
  /** Null: any of them, because it is not known what had changed at the version asked with. */
  readonly servers: readonly string[] | null;
}

/** Which servers' agents changed, for those who want to be told: status, settings or events. */
export class Changes {
  /** Versions of another process mean nothing here. */
  readonly #epoch = randomUUID();
  /** The version of each server's last change, oldest first. */
  readonly #versions = new Map<string, number>();
  readonly #waiting = new Set<() => void>();
  #version = 0;
  /** The last version whose servers are not known any more. */
  #forgotten = 0;

  touch(serverId: string): void {
    this.#version += 1;
    this.#versions.delete(serverId);
    this.#versions.set(serverId, this.#version);
    for (const [oldest, version] of this.#versions) {
      if (this.#versions.size <= SERVERS_MAX_COUNT) break;
      this.#versions.delete(oldest);
      this.#forgotten = version;
    }
    for (const wake of this.#waiting) wake();
  }

  /** At once if there is any change since `version`, else with the next, or when `signal` aborts. */
  async since(version: string | undefined, signal: AbortSignal): Promise<ChangesSince> {
    const after = this.#parse(version);
    if (after === this.#version) await this.#next(signal);
    const current = `${this.#epoch}:${this.#version}`;
    if (after === undefined || after < this.#forgotten) return { version: current, servers: null };
    const changed = [...this.#versions].filter(([, at]) => at > after);
    return { version: current, servers: changed.map(([serverId]) => serverId) };
  }

  #parse(version: string | undefined): number | undefined {
    const [epoch, count] = version?.split(':') ?? [];
    const number = Number(count);
    return epoch === this.#epoch && number <= this.#version ? number : undefined;
  }

  async #next(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => resolve();
    this.#waiting.add(wake);
    signal.addEventListener('abort', wake, { once: true });
    try {
      await promise;
    } finally {
      this.#waiting.delete(wake);
      signal.removeEventListener('abort', wake);
    }
  }
}
