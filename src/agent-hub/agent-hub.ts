import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import type { Access } from '../../protocol/access.ts';
import { TomoError } from '../../protocol/errors.ts';
import { CLOSE_CODES } from '../../protocol/handshake.ts';
import type { TomoDatabase } from '../db/database.ts';
import { effectiveConfig } from './agent-config.ts';
import {
  AgentConnection,
  type ConnectedAgent,
  connectionLost,
  notConnected,
} from './agent-connection.ts';
import { checkResult, gateCommand } from './command-gate.ts';
import { Liveness } from './liveness.ts';
import { handleNotification } from './notifications.ts';
import { type AdmittedArrival, Reception } from './reception.ts';
import { TelemetryBuffer } from './telemetry-buffer.ts';
import { HUB_TIMINGS, type HubTimings } from './timings.ts';
import { welcomeMessage } from './welcome.ts';

export interface AgentHubOptions {
  readonly db: TomoDatabase;
  readonly log: Logger;
  readonly timings?: Partial<HubTimings>;
}

/** A command for one agent. */
export interface AgentCall {
  /** The command's id; unique for ever. */
  readonly id: string;
  readonly method: string;
  readonly params: Record<string, unknown>;
  /** What the caller may do; the agent's own ceiling lowers it further. */
  readonly access: Access;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Numbers since the hub started, for /metrics. */
export interface HubCounters {
  readonly connected: number;
  readonly callsInFlight: number;
  readonly calls: number;
  readonly strayAnswers: number;
  readonly refusedHandshakes: number;
  readonly superseded: number;
}

/**
 * The agents' side of the server: accepts their sockets, keeps them alive, calls their methods. Its
 * table of connections is the only truth about who is connected.
 */
export class AgentHub {
  readonly #options: AgentHubOptions;
  readonly #timings: HubTimings;
  readonly #log: Logger;
  readonly #reception: Reception;
  readonly #connections = new Map<string, AgentConnection>();
  readonly #liveness: Liveness;
  readonly #counters = { calls: 0, strayAnswers: 0, superseded: 0 };
  readonly telemetry: TelemetryBuffer;

  constructor(options: AgentHubOptions) {
    this.#options = options;
    this.#timings = { ...HUB_TIMINGS, ...options.timings };
    this.#log = options.log;
    this.#reception = new Reception({
      db: options.db,
      log: options.log,
      handshakeMs: this.#timings.handshakeMs,
      closeMs: this.#timings.closeMs,
      onAdmitted: (arrival) => this.#welcome(arrival),
    });
    this.telemetry = new TelemetryBuffer(options.db, this.#timings.flushMs, options.log);
    this.#liveness = new Liveness({
      timings: this.#timings,
      connections: () => this.#connections.values(),
      onHeard: (connection) => this.telemetry.seen(connection.agent.agentId, Date.now()),
    });
  }

  /** To be called before the first accept: after a crash no row may say `connected`. */
  async start(): Promise<void> {
    await this.#options.db.agents.disconnectAll(Date.now());
  }

  get counters(): HubCounters {
    let callsInFlight = 0;
    for (const connection of this.#connections.values()) callsInFlight += connection.callsInFlight;
    return {
      ...this.#counters,
      refusedHandshakes: this.#reception.refused,
      connected: this.#connections.size,
      callsInFlight,
    };
  }

  /** The agent's connection facts, or undefined while it is away. */
  connected(agentId: string): ConnectedAgent | undefined {
    return this.#connections.get(agentId)?.agent;
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
    const connection = this.#connections.get(agentId);
    if (connection === undefined) throw notConnected();
    const { entry, params, timeoutMs } = gateCommand({
      method: call.method,
      params: call.params,
      access: call.access,
      ceiling: connection.agent.access,
      capabilities: connection.agent.hello.capabilities,
      timeoutMs: call.timeoutMs,
    });
    this.#counters.calls += 1;
    const result = await connection.call({
      id: call.id,
      method: call.method,
      params,
      timeoutMs,
      signal: call.signal,
    });
    checkResult(call.method, entry, result);
    return result;
  }

  /** Milliseconds of a ping to the agent and back; undefined if it is away or silent. */
  async latency(agentId: string, signal: AbortSignal): Promise<number | undefined> {
    try {
      return await this.#connections.get(agentId)?.measureLatency(signal);
    } catch {
      return undefined;
    }
  }

  /** Takes the agent's token for good and closes its socket. True if it was connected. */
  async revoke(agentId: string): Promise<boolean> {
    return this.#reception.exclusively(async () => {
      await this.#options.db.agents.revoke(agentId, Date.now());
      const connection = this.#connections.get(agentId);
      if (connection === undefined) return false;
      this.#drop(connection);
      connection.close(
        CLOSE_CODES.REVOKED,
        'agent revoked',
        new TomoError('AGENT_REVOKED', 'The agent was revoked while the command ran.'),
      );
      return true;
    });
  }

  /** Closes every socket with 1012, so that agents redial, and writes what is in memory. */
  async close(): Promise<void> {
    this.#liveness.stop();
    const now = Date.now();
    for (const connection of this.#connections.values()) {
      this.#drop(connection);
      this.telemetry.seen(connection.agent.agentId, now);
      connection.close(CLOSE_CODES.SERVICE_RESTART, 'hub restarting', connectionLost());
    }
    this.#reception.close();
    await this.#written(() => this.#options.db.agents.disconnectAll(now));
    await this.telemetry.close();
  }

  /** Ends what is still open after `close`, for agents that do not answer the closing handshake. */
  terminate(): void {
    this.#reception.terminate();
  }

  async #welcome(arrival: AdmittedArrival): Promise<void> {
    const { admitted, settings, socket, stream, address } = arrival;
    const { row, hello } = admitted;
    const config = effectiveConfig(settings, row.config);
    const connection = new AgentConnection({
      agent: {
        agentId: row.id,
        serverId: row.serverId,
        access: admitted.access,
        hello,
        address,
        connectedAt: Date.now(),
      },
      socket,
      stream,
      log: this.#log,
      onNotification: (notification, bytes) =>
        handleNotification(this.telemetry, connection.agent, notification, bytes),
      onStrayAnswer: () => {
        this.#counters.strayAnswers += 1;
      },
      onClosed: (code) => void this.#left(connection, code),
    });
    this.#supersede(connection);
    connection.send(welcomeMessage(admitted, config));
    this.telemetry.seen(row.id, connection.agent.connectedAt);
    this.#record(connection, hello.type === 'register' ? 'registered' : 'connected', {
      version: hello.version,
      address,
    });
    socket.resume();
    // A socket that closed during the handshake tells nobody: its close event has passed.
    if (socket.readyState === socket.CLOSED) await this.#left(connection, 1006);
  }

  #supersede(connection: AgentConnection): void {
    const { agentId } = connection.agent;
    const older = this.#connections.get(agentId);
    this.#connections.set(agentId, connection);
    if (older === undefined) return;
    this.#counters.superseded += 1;
    older.close(CLOSE_CODES.SUPERSEDED, 'superseded by a newer connection', connectionLost());
  }

  /** Takes a connection out of the table, if it is still the agent's current one. */
  #drop(connection: AgentConnection): boolean {
    const { agentId } = connection.agent;
    if (this.#connections.get(agentId) !== connection) return false;
    this.#connections.delete(agentId);
    this.telemetry.forget(agentId);
    return true;
  }

  async #left(connection: AgentConnection, code: number): Promise<void> {
    this.#record(connection, 'disconnected', { code });
    if (!this.#drop(connection)) return;
    const { agentId } = connection.agent;
    await this.#written(() => this.#options.db.agents.disconnected(agentId, Date.now()));
  }

  /** The next start corrects what the database does not take here. */
  async #written(departure: () => Promise<unknown>): Promise<void> {
    try {
      await departure();
    } catch (error) {
      this.#log.error({ err: error }, 'an agent’s departure could not be written');
    }
  }

  #record(connection: AgentConnection, type: string, detail: Record<string, unknown>): void {
    const { agentId, serverId } = connection.agent;
    this.#log.info({ server: serverId, ...detail }, `agent ${type}`);
    this.telemetry.event({ agentId, serverId, type, detail, at: Date.now() });
  }
}
