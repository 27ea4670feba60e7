import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { type Access, lowerAccess } from '../../protocol/access.ts';
import { TomoError } from '../../protocol/errors.ts';
import { CLOSE_CODES } from '../../protocol/handshake.ts';
import { type AgentRow, machineIdentity } from '../db/agent-row.ts';
import type { TomoDatabase } from '../db/database.ts';
import type { AgentAnswer, AgentCall } from './agent-call.ts';
import { Attendance } from './attendance.ts';
import type { CandidacyEnd } from './candidates.ts';
import type { Changes } from './changes.ts';
import { clientAddressOf } from './client-address.ts';
import type { CommandOutputs } from './command-outputs.ts';
import type { ConnectedAgent } from './connected-agent.ts';
import { connectionLost, notConnected } from './connection-errors.ts';
import type { DetachedCommands } from './detached-commands.ts';
import type { DuplicateCounts } from './duplicates.ts';
import type { HubCounters } from './hub-counters.ts';
import { Liveness } from './liveness.ts';
import type { LogSettings } from './log-settings.ts';
import { isCalled } from './machine-identity.ts';
import type { Presence } from './presence.ts';
import { Reception } from './reception.ts';
import type { TelemetryBuffer } from './telemetry-buffer.ts';
import { HUB_TIMINGS, type HubTimings } from './timings.ts';
import { rotateToken } from './token-rotation.ts';

export interface AgentHubOptions {
  readonly db: TomoDatabase;
  readonly log: Logger;
  readonly timings?: Partial<HubTimings>;
  /** Whom a request comes from; the socket's other end unless told otherwise. */
  readonly clientAddress?: (request: IncomingMessage) => string;
}

/**
 * The agents' side of the server: accepts their sockets, keeps them alive, calls their methods. Its
 * table of connections is the only truth about who is connected.
 */
export class AgentHub {
  readonly telemetry: TelemetryBuffer;
  /** What commands put out while they run. */
  readonly outputs: CommandOutputs;
  readonly #options: AgentHubOptions;
  readonly #reception: Reception;
  readonly #attendance: Attendance;
  readonly #presence: Presence;
  readonly #liveness: Liveness;

  constructor(options: AgentHubOptions) {
    const { db, log, clientAddress = clientAddressOf([]) } = options;
    const timings = { ...HUB_TIMINGS, ...options.timings };
    this.#options = options;
    this.#attendance = new Attendance({
      db,
      log,
      timings,
      exclusively: (step) => this.#reception.exclusively(step),
    });
    this.#presence = this.#attendance.presence;
    this.telemetry = this.#attendance.telemetry;
    this.outputs = this.#attendance.outputs;
    this.#reception = new Reception({
      db,
      log,
      clientAddress,
      handshakeMs: timings.handshakeMs,
      closeMs: timings.closeMs,
      onAdmitted: (arrival) => this.#attendance.welcome(arrival),
      onClone: (clone) => this.#attendance.refusedClone(clone),
    });
    this.#liveness = new Liveness({
      timings,
      connections: () => this.#presence.open,
      onHeard: (connection) => this.#attendance.seen(connection),
    });
  }

  /** To be called before the first accept: after a crash no row may say `connected` or `running`. */
  async start(): Promise<void> {
    const now = Date.now();
    await this.#options.db.agents.disconnectAll(now);
    await this.#attendance.detached.start(now);
  }

  get counters(): HubCounters {
    let callsInFlight = 0;
    for (const connection of this.#presence.open) callsInFlight += connection.callsInFlight;
    return {
      ...this.#attendance.counters,
      refusedHandshakes: this.#reception.refused,
      connected: this.#presence.count,
      callsInFlight,
      telemetryDropped: this.telemetry.dropped,
    };
  }

  /** The agent's connection facts, or undefined while it is away. */
  connected(agentId: string): ConnectedAgent | undefined {
    return this.#presence.current(agentId)?.agent;
  }

  /** What changed of the agents, for those who want to be told. */
  get changes(): Changes {
    return this.#attendance.changes;
  }

  /** Holds an agent to settings for its logs that were kept for it, and what is kept of them as well. */
  async setLogs(agentId: string, settings: LogSettings): Promise<void> {
    const { logs } = this.#attendance;
    logs.configure(agentId, settings);
    await this.#options.db.logs.trim(agentId, logs.bounds(settings));
  }

  /** See Presence. */
  waitForConnection(...wait: Parameters<Presence['waitForConnection']>): Promise<ConnectedAgent> {
    return this.#presence.waitForConnection(...wait);
  }

  /** See Presence. */
  waitForDeparture(...wait: Parameters<Presence['waitForDeparture']>): Promise<void> {
    return this.#presence.waitForDeparture(...wait);
  }

  /**
   * How the agent's candidate ends: the one parked or the next to come, so ask before it is started.
   * A candidate that a newer one supersedes has not ended. Rejects as waitForConnection.
   */
  async waitForPromotion(agentId: string, signal: AbortSignal): Promise<CandidacyEnd> {
    return this.#attendance.candidates.nextEnd(agentId, signal);
  }

  /**
   * Ends a candidate, connected or not, and the unused tickets for one. False if there were none,
   * which after a wait for its promotion means that it is promoted.
   */
  async dropCandidate(agentId: string): Promise<boolean> {
    return this.#reception.exclusively(async () => {
      const dropped = await this.#options.db.agents.dropCandidate(agentId);
      const connection = this.#attendance.candidates.drop(agentId);
      connection?.close(CLOSE_CODES.NOT_AUTHENTICATED, 'candidate dropped', connectionLost());
      return dropped;
    });
  }

  /** Takes over an HTTP upgrade of `/ws/agent`. */
  accept(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    this.#reception.accept(request, stream, head);
  }

  /**
   * Calls a method and waits for its answer, checked against the catalogue. Throws a TomoError:
   * AGENT_NOT_CONNECTED, METHOD_NOT_FOUND, INVALID_PARAMS, ACCESS_DENIED, LIMIT_REACHED before it is
   * sent; COMMAND_TIMED_OUT, COMMAND_CANCELLED, CONNECTION_LOST, AGENT_REVOKED, INVALID_ANSWER or the
   * agent's own error afterwards.
   */
  async call(agentId: string, call: AgentCall): Promise<unknown> {
    const { result } = await this.answer(agentId, call);
    return result;
  }

  /** The same, with the answer's size. */
  answer(agentId: string, call: AgentCall): Promise<AgentAnswer> {
    const connection = this.#presence.current(agentId);
    if (connection === undefined) return Promise.reject(notConnected());
    return this.#attendance.call(connection, call);
  }

  /** To be told when the row of a call says how it ended, so that the agent need not keep the answer. */
  written(agentId: string, id: string): void {
    this.#presence.current(agentId)?.written(id);
  }

  /**
   * Tells an agent to stop a command; the call, or the row of a detached one, ends with its answer. False
   * if the agent is away.
   */
  cancel(agentId: string, id: string): boolean {
    return this.#attendance.cancel(agentId, id);
  }

  /** Resolves when the row of a detached command says how it ended; see DetachedCommands. */
  waitForEnd(...wait: Parameters<DetachedCommands['waitForEnd']>): Promise<void> {
    return this.#attendance.detached.waitForEnd(...wait);
  }

  /** Milliseconds of a ping to the agent and back; undefined if it is away or silent. */
  async latency(agentId: string, signal: AbortSignal): Promise<number | undefined> {
    try {
      return await this.#presence.current(agentId)?.measureLatency(signal);
    } catch {
      return undefined;
    }
  }

  /** Other processes that came with the agent's token since the hub started. */
  duplicates(agentId: string): DuplicateCounts {
    return this.#attendance.duplicates.of(agentId);
  }

  /** Makes the machine that was refused last the agent's own, if it is the one of that id. */
  async acceptMachine(agentId: string, machine: string): Promise<boolean> {
    return this.#reception.exclusively(async () => {
      const { lastHost } = this.duplicates(agentId);
      if (lastHost === undefined || !isCalled(lastHost, machine)) return false;
      await this.#options.db.agents.setIdentity(agentId, machineIdentity(lastHost), Date.now());
      this.#attendance.duplicates.clear(agentId);
      return true;
    });
  }

  /**
   * Gives a connected agent a new token, and answers when the agent keeps it. Until the new one is
   * used or `graceMs` are over both are good, also if this throws: AGENT_NOT_CONNECTED and
   * METHOD_NOT_FOUND before anything is written, afterwards what `call` throws.
   */
  async rotateToken(
    agentId: string,
    { graceMs }: { readonly graceMs: number },
  ): Promise<{ graceEndsAt: number }> {
    const deps = {
      agents: this.#options.db.agents,
      current: (id: string) => this.#presence.current(id),
      call: this.#attendance.call.bind(this.#attendance),
      exclusively: this.#reception.exclusively.bind(this.#reception),
    };
    return rotateToken(deps, agentId, graceMs);
  }

  /** Holds connected processes of the agent to a ceiling that was written to its row. */
  async setAccess(agentId: string, access: Access): Promise<void> {
    // An admission under way may have read the row before.
    await this.#reception.exclusively(() => {
      for (const { agent } of this.#presence.openOf(agentId)) {
        agent.access = lowerAccess(access, agent.hello.access ?? access);
      }
      return Promise.resolve();
    });
  }

  /** Takes the agent's tokens for good and closes all its sockets. True if it was connected. */
  async revoke(agentId: string): Promise<boolean> {
    return this.#reception.exclusively(async () => {
      await this.#options.db.agents.revoke(agentId, Date.now());
      const row = await this.#options.db.agents.findById(agentId);
      if (row !== undefined) this.#attendance.revoked({ agentId, serverId: row.serverId });
      const current = this.#presence.current(agentId);
      if (current !== undefined) this.#attendance.drop(current);
      this.#attendance.candidates.drop(agentId);
      const error = new TomoError('AGENT_REVOKED', 'The agent was revoked while the command ran.');
      for (const connection of this.#presence.openOf(agentId)) {
        connection.close(CLOSE_CODES.REVOKED, 'agent revoked', error);
      }
      await this.#attendance.detached.revoked(agentId);
      return current !== undefined;
    });
  }

  /** Removes a revoked agent and its server, but not the audit, when the agent's sockets have closed. */
  async forget({ id, serverId }: Pick<AgentRow, 'id' | 'serverId'>): Promise<void> {
    await Promise.all(this.#presence.openOf(id).map((connection) => connection.closed()));
    // What is in memory would be written after its agent is gone.
    await this.telemetry.flush();
    await this.#options.db.logs.forget(id);
    await this.#options.db.agents.forget(serverId);
    this.#attendance.duplicates.clear(id);
    this.#attendance.eventSequence.forget(id);
    this.changes.touch(serverId);
  }

  /** Closes every socket with 1012, so that agents redial, and writes what is in memory. */
  async close(): Promise<void> {
    this.#liveness.stop();
    // Agents send events again that are not acknowledged before their sockets close.
    await this.telemetry.flush();
    const now = Date.now();
    for (const connection of this.#presence.open) {
      this.#attendance.candidates.drop(connection.agent.agentId);
      this.#attendance.seen(connection);
      this.#attendance.drop(connection);
      connection.close(CLOSE_CODES.SERVICE_RESTART, 'hub restarting', connectionLost());
    }
    this.#reception.close();
    this.outputs[Symbol.dispose]();
    await this.#attendance.departures.recordAll(now);
    await this.telemetry.close();
  }

  /** Ends what is still open after `close`, for agents that do not answer the closing handshake. */
  terminate(): void {
    this.#reception.terminate();
  }
}
