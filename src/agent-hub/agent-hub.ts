import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { TomoError } from '../../protocol/errors.ts';
import { CLOSE_CODES } from '../../protocol/handshake.ts';
import { PROMOTED_METHOD } from '../../protocol/json-rpc.ts';
import type { AgentRow } from '../db/agent-row.ts';
import type { TomoDatabase } from '../db/database.ts';
import { type AgentCall, callAgent } from './agent-call.ts';
import { effectiveConfig } from './agent-config.ts';
import { AgentConnection, type ConnectedAgent } from './agent-connection.ts';
import { type CandidacyEnd, Candidates } from './candidates.ts';
import { connectionLost, notConnected } from './connection-errors.ts';
import { Departures } from './departures.ts';
import type { HubCounters } from './hub-counters.ts';
import { Liveness } from './liveness.ts';
import { handleNotification } from './notifications.ts';
import { Presence } from './presence.ts';
import { type AdmittedArrival, Reception } from './reception.ts';
import { retire } from './retirement.ts';
import { TelemetryBuffer } from './telemetry-buffer.ts';
import { HUB_TIMINGS, type HubTimings } from './timings.ts';
import { welcomeMessage } from './welcome.ts';

export interface AgentHubOptions {
  readonly db: TomoDatabase;
  readonly log: Logger;
  readonly timings?: Partial<HubTimings>;
}

/**
 * The agents' side of the server: accepts their sockets, keeps them alive, calls their methods. Its
 * table of connections is the only truth about who is connected.
 */
export class AgentHub {
  readonly #options: AgentHubOptions;
  readonly #timings: HubTimings;
  readonly #reception: Reception;
  readonly #presence = new Presence();
  readonly #candidates: Candidates;
  readonly #departures: Departures;
  readonly #liveness: Liveness;
  readonly #counters = { calls: 0, strayAnswers: 0, superseded: 0 };
  readonly telemetry: TelemetryBuffer;

  constructor(options: AgentHubOptions) {
    this.#options = options;
    this.#timings = { ...HUB_TIMINGS, ...options.timings };
    this.#reception = new Reception({
      db: options.db,
      log: options.log,
      handshakeMs: this.#timings.handshakeMs,
      closeMs: this.#timings.closeMs,
      onAdmitted: (arrival) => this.#welcome(arrival),
    });
    this.#departures = new Departures({
      agents: options.db.agents,
      log: options.log,
      isConnected: (agentId) => this.connected(agentId) !== undefined,
      exclusively: (step) => this.#reception.exclusively(step),
    });
    this.telemetry = new TelemetryBuffer({
      db: options.db,
      log: options.log,
      flushMs: this.#timings.flushMs,
      beforeWrite: () => this.#departures.retry(),
    });
    this.#liveness = new Liveness({
      timings: this.#timings,
      connections: () => this.#presence.open,
      onHeard: (connection) => this.#seen(connection),
    });
    this.#candidates = new Candidates({
      agents: options.db.agents,
      log: options.log,
      pingMs: this.#timings.promotionPingMs,
      exclusively: (step) => this.#reception.exclusively(step),
      onPromoted: (connection) => this.#promoted(connection),
    });
  }

  /** To be called before the first accept: after a crash no row may say `connected`. */
  async start(): Promise<void> {
    await this.#options.db.agents.disconnectAll(Date.now());
  }

  get counters(): HubCounters {
    let callsInFlight = 0;
    for (const connection of this.#presence.open) callsInFlight += connection.callsInFlight;
    return {
      ...this.#counters,
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
    return this.#candidates.nextEnd(agentId, signal);
  }

  /**
   * Ends a candidate, connected or not, and the unused tickets for one. False if there were none,
   * which after a wait for its promotion means that it is promoted.
   */
  async dropCandidate(agentId: string): Promise<boolean> {
    return this.#reception.exclusively(async () => {
      const dropped = await this.#options.db.agents.dropCandidate(agentId);
      const connection = this.#candidates.drop(agentId);
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
    const connection = this.#presence.current(agentId);
    if (connection === undefined) throw notConnected();
    return callAgent(connection, call, () => {
      this.#counters.calls += 1;
    });
  }

  /** Milliseconds of a ping to the agent and back; undefined if it is away or silent. */
  async latency(agentId: string, signal: AbortSignal): Promise<number | undefined> {
    try {
      return await this.#presence.current(agentId)?.measureLatency(signal);
    } catch {
      return undefined;
    }
  }

  /** Takes the agent's tokens for good and closes all its sockets. True if it was connected. */
  async revoke(agentId: string): Promise<boolean> {
    return this.#reception.exclusively(async () => {
      await this.#options.db.agents.revoke(agentId, Date.now());
      const current = this.#presence.current(agentId);
      if (current !== undefined) this.#drop(current);
      this.#candidates.drop(agentId);
      const error = new TomoError('AGENT_REVOKED', 'The agent was revoked while the command ran.');
      for (const connection of this.#presence.openOf(agentId)) {
        connection.close(CLOSE_CODES.REVOKED, 'agent revoked', error);
      }
      return current !== undefined;
    });
  }

  /** Removes a revoked agent and its server, but not the audit, when the agent's sockets have closed. */
  async forget({ id, serverId }: Pick<AgentRow, 'id' | 'serverId'>): Promise<void> {
    await Promise.all(this.#presence.openOf(id).map((connection) => connection.closed()));
    // What is in memory would be written after its agent is gone.
    await this.telemetry.flush();
    await this.#options.db.agents.forget(serverId);
  }

  /** Closes every socket with 1012, so that agents redial, and writes what is in memory. */
  async close(): Promise<void> {
    this.#liveness.stop();
    const now = Date.now();
    for (const connection of this.#presence.open) {
      this.#candidates.drop(connection.agent.agentId);
      this.#seen(connection);
      this.#drop(connection);
      connection.close(CLOSE_CODES.SERVICE_RESTART, 'hub restarting', connectionLost());
    }
    this.#reception.close();
    await this.#departures.recordAll(now);
    await this.telemetry.close();
  }

  /** Ends what is still open after `close`, for agents that do not answer the closing handshake. */
  terminate(): void {
    this.#reception.terminate();
  }

  async #welcome(arrival: AdmittedArrival): Promise<void> {
    const { admitted, settings, socket } = arrival;
    const connection = this.#connect(arrival);
    const { hello, row, candidateTokenHash } = admitted;
    if (candidateTokenHash === undefined) this.#supersede(connection);
    connection.send(welcomeMessage(admitted, effectiveConfig(settings, row.config)));
    const type = hello.type === 'register' ? 'registered' : 'connected';
    this.#recordArrival(connection, candidateTokenHash === undefined ? type : 'candidate');
    if (candidateTokenHash !== undefined) this.#candidates.park(connection, candidateTokenHash);
    socket.resume();
    // A socket that closed during the handshake tells nobody: its close event has passed.
    if (connection.isClosed) await this.#left(connection, 1006);
  }

  #connect({ admitted, socket, stream, address }: AdmittedArrival): AgentConnection {
    const { row, hello, access } = admitted;
    const { id: agentId, serverId } = row;
    const connection = new AgentConnection({
      agent: { agentId, serverId, access, hello, address, connectedAt: Date.now() },
      socket,
      stream,
      log: this.#options.log,
      onNotification: (notification, bytes) => {
        // Of two processes on one server only the agent itself reports.
        if (!this.#presence.isCurrent(connection)) return;
        handleNotification(this.telemetry, connection.agent, notification, bytes);
      },
      onStrayAnswer: () => void (this.#counters.strayAnswers += 1),
      onClosed: (code) => void this.#left(connection, code),
    });
    this.#presence.opened(connection);
    return connection;
  }

  #supersede(connection: AgentConnection): void {
    const older = this.#presence.replace(connection);
    if (older === undefined) return;
    this.#counters.superseded += 1;
    older.close(CLOSE_CODES.SUPERSEDED, 'superseded by a newer connection', connectionLost());
  }

  #promoted(connection: AgentConnection): void {
    const older = this.#presence.replace(connection);
    connection.notify(PROMOTED_METHOD, {});
    this.#recordArrival(connection, 'promoted');
    if (older !== undefined) retire(older, this.#timings.retireMaxMs);
    // Its end was taken for a candidate's if it came before its promotion was known here.
    if (connection.isClosed) void this.#left(connection, 1006);
  }

  /** Its agent is away from now on. False if it is not the agent's current connection any more. */
  #drop(connection: AgentConnection): boolean {
    if (!this.#presence.drop(connection)) return false;
    this.telemetry.forget(connection.agent.agentId);
    return true;
  }

  async #left(connection: AgentConnection, code: number): Promise<void> {
    this.#presence.closed(connection);
    if (this.#candidates.left(connection)) {
      return this.#record(connection, 'candidate_left', { code });
    }
    this.#record(connection, 'disconnected', { code });
    if (!this.#drop(connection)) return;
    await this.#departures.record(connection.agent.agentId, Date.now());
  }

  /** Of a candidate or a replaced process nothing is kept: only the agent itself counts. */
  #seen(connection: AgentConnection): void {
    if (!this.#presence.isCurrent(connection)) return;
    this.telemetry.seen(connection.agent.agentId, Date.now());
  }

  #recordArrival(connection: AgentConnection, type: string): void {
    const { hello, address } = connection.agent;
    this.#seen(connection);
    this.#record(connection, type, { version: hello.version, address });
  }

  #record(connection: AgentConnection, type: string, detail: Record<string, unknown>): void {
    const { agentId, serverId } = connection.agent;
    this.#options.log.info({ server: serverId, ...detail }, `agent ${type}`);
    this.telemetry.event({ agentId, serverId, type, detail, at: Date.now() });
  }
}
