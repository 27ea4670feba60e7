import { SEND_BACKLOG_MAX_BYTES } from '../../protocol/limits.ts';
import type { AgentConnection } from './agent-connection.ts';
import type { HubTimings } from './timings.ts';

interface Heard {
  bytes: number;
  at: number;
  pinged: boolean;
}

/**
 * Watches every socket with one timer. Any byte that arrived since the last sweep is a sign of life;
 * a silent socket is pinged, then terminated. After a standstill of the hub itself what has arrived
 * meanwhile is read first, and a socket that was not pinged yet gets its chance to answer. One that
 * speaks but does not read what is sent to it is terminated, too.
 */
export class Liveness {
  readonly #timings: HubTimings;
  readonly #connections: () => Iterable<AgentConnection>;
  readonly #heard = new WeakMap<AgentConnection, Heard>();
  readonly #backloggedSince = new WeakMap<AgentConnection, number>();
  readonly #onHeard: (connection: AgentConnection) => void;
  readonly #timer: NodeJS.Timeout;

  constructor(options: {
    readonly timings: HubTimings;
    readonly connections: () => Iterable<AgentConnection>;
    /** Called at most once a sweep for each connection that sent something. */
    readonly onHeard: (connection: AgentConnection) => void;
  }) {
    this.#timings = options.timings;
    this.#connections = options.connections;
    this.#onHeard = options.onHeard;
    this.#timer = setInterval(() => setImmediate(() => this.#sweep()), options.timings.sweepMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #sweep(): void {
    const now = performance.now();
    for (const connection of this.#connections()) this.#look(connection, now);
  }

  #look(connection: AgentConnection, now: number): void {
    if (this.#doesNotRead(connection, now)) return connection.terminate();
    const bytes = connection.bytesReceived;
    const heard = this.#heard.get(connection);
    if (heard === undefined || heard.bytes !== bytes) {
      this.#heard.set(connection, { bytes, at: now, pinged: false });
      this.#onHeard(connection);
      return;
    }
    const silentMs = now - heard.at;
    // What was heard in a sweep may have come right after the one before it.
    const silentAtMostMs = silentMs + this.#timings.sweepMs;
    if (silentMs >= this.#timings.pingAfterMs && !heard.pinged) {
      heard.pinged = true;
      connection.ping();
    } else if (silentAtMostMs >= this.#timings.silenceMaxMs && !this.#mayBeBusy(connection, now)) {
      connection.terminate();
    }
  }

  #doesNotRead(connection: AgentConnection, now: number): boolean {
    if (connection.backlogBytes <= SEND_BACKLOG_MAX_BYTES) {
      this.#backloggedSince.delete(connection);
      return false;
    }
    const since = this.#backloggedSince.get(connection) ?? now;
    this.#backloggedSince.set(connection, since);
    return now - since >= this.#timings.backlogMaxMs;
  }

  /** Agents of the first deployment run commands synchronously and cannot answer a ping meanwhile. */
  #mayBeBusy(connection: AgentConnection, now: number): boolean {
    if (connection.agent.hello.protocol !== undefined) return false;
    const deadline = connection.latestDeadline;
    return deadline !== undefined && now < deadline + this.#timings.silenceGraceMs;
  }
}
