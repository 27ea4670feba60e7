import type { Logger } from 'pino';
import { CLOSE_CODES } from '../../protocol/handshake.ts';
import { PROMOTED_METHOD } from '../../protocol/json-rpc.ts';
import { CALLS_MAX_COUNT } from '../../protocol/limits.ts';
import type { TomoDatabase } from '../db/database.ts';
import { type AgentAnswer, type AgentCall, callAgent } from './agent-call.ts';
import { effectiveAddress, effectiveConfig } from './agent-config.ts';
import { AgentConnection } from './agent-connection.ts';
import { AgentDebts } from './agent-debts.ts';
import { AgentJournal } from './agent-journal.ts';
import { Candidates } from './candidates.ts';
import { connectionLost, tooManyCalls } from './connection-errors.ts';
import { Departures } from './departures.ts';
import { DetachedCommands } from './detached-commands.ts';
import { Duplicates, type TokenBearer, tokenBearer } from './duplicates.ts';
import { handleNotification } from './notifications.ts';
import { Presence } from './presence.ts';
import type { AdmittedArrival } from './reception.ts';
import { lowerLater, redirect, redirectLater } from './redirection.ts';
import { retire } from './retirement.ts';
import { TelemetryBuffer } from './telemetry-buffer.ts';
import type { HubTimings } from './timings.ts';
import { welcomeMessage } from './welcome.ts';

interface AttendanceOptions {
  readonly db: TomoDatabase;
  readonly log: Logger;
  readonly timings: HubTimings;
  /** Runs a step that no admission and no revocation comes between. */
  readonly exclusively: <T>(step: () => Promise<T>) => Promise<T>;
}

/** Agents that come and go: what follows from a socket that is let in, promoted or closed. */
export class Attendance {
  readonly presence = new Presence();
  readonly telemetry: TelemetryBuffer;
  readonly candidates: Candidates;
  readonly departures: Departures;
  readonly detached: DetachedCommands;
  readonly duplicates: Duplicates;
  readonly counters = {
    calls: 0,
    strayAnswers: 0,
    superseded: 0,
    clonesRefused: 0,
    takingTurns: 0,
  };
  readonly #options: AttendanceOptions;
  readonly #debts = new AgentDebts();
  readonly #journal: AgentJournal;
  readonly #callDeps: Parameters<typeof redirectLater>[0];
  #callsUnderWay = 0;

  constructor(options: AttendanceOptions) {
    const { db, log, timings, exclusively } = options;
    this.#options = options;
    this.telemetry = new TelemetryBuffer({
      db,
      log,
      flushMs: timings.flushMs,
      beforeWrite: async () => {
        await this.departures.retry();
        await this.detached.retry();
      },
    });
    this.#journal = new AgentJournal(log, this.telemetry);
    this.#callDeps = { db, log, call: (connection, call) => this.call(connection, call) };
    this.duplicates = new Duplicates({
      report: (bearer, type, counts) => this.#journal.duplicate(bearer, type, counts),
    });
    this.departures = new Departures({
      agents: db.agents,
      log,
      isConnected: (agentId) => this.presence.current(agentId) !== undefined,
      exclusively,
    });
    this.detached = new DetachedCommands({ commands: db.commands, log });
    this.candidates = new Candidates({
      agents: db.agents,
      log,
      pingMs: timings.promotionPingMs,
      exclusively,
      onPromoted: (connection) => this.#promoted(connection),
    });
  }

  /** Takes over an admitted socket and answers its hello. */
  async welcome(arrival: AdmittedArrival): Promise<void> {
    const { admitted, settings } = arrival;
    const connection = this.#connect(arrival);
    const { hello, row, candidateTokenHash, token } = admitted;
    const isAgent = candidateTokenHash === undefined;
    // A token that is new has no copies yet.
    if (isAgent && token !== undefined) this.duplicates.clear(row.id);
    if (isAgent) {
      this.#supersede(connection);
      this.#collectAnswers(row.id);
    }
    connection.send(welcomeMessage(admitted, effectiveConfig(settings, row.config)));
    const type = hello.type === 'register' ? 'registered' : 'connected';
    this.#recordArrival(connection, isAgent ? type : 'candidate');
    if (!isAgent) this.candidates.park(connection, candidateTokenHash);
    else void redirect(this.#callDeps, connection, effectiveAddress(settings, row.config));
    connection.start();
    // A socket that closed during the handshake tells nobody: its close event has passed.
    if (connection.isClosed) await this.#left(connection, 1006);
  }

  /** A process was refused because its token belongs to another machine. */
  refusedClone(clone: TokenBearer): void {
    this.counters.clonesRefused += 1;
    this.duplicates.refused(clone);
  }

  /** See AgentHub.call. */
  async call(connection: AgentConnection, call: AgentCall): Promise<AgentAnswer> {
    if (this.#callsUnderWay >= CALLS_MAX_COUNT) throw tooManyCalls();
    this.#callsUnderWay += 1;
    try {
      return await callAgent(connection, call, () => {
        this.counters.calls += 1;
      });
    } finally {
      this.#callsUnderWay -= 1;
    }
  }

  /** Its agent is away from now on. False if it is not the agent's current connection any more. */
  drop(connection: AgentConnection): boolean {
    if (!this.presence.drop(connection)) return false;
    this.telemetry.forget(connection.agent.agentId);
    return true;
  }

  /** Of a candidate or a replaced process nothing is kept: only the agent itself counts. */
  seen(connection: AgentConnection): void {
    if (!this.presence.isCurrent(connection)) return;
    this.telemetry.seen(connection.agent.agentId, Date.now());
  }

  #connect({ admitted, socket, stream, address }: AdmittedArrival): AgentConnection {
    const { row, hello, access } = admitted;
    const { id: agentId, serverId } = row;
    const connection = new AgentConnection({
      agent: { agentId, serverId, access, hello, address, connectedAt: Date.now() },
      socket,
      stream,
      debts: this.#debts,
      log: this.#options.log,
      onNotification: (notification, bytes) => {
        // Of two processes on one server only the agent itself reports.
        if (!this.presence.isCurrent(connection)) return;
        handleNotification(this.telemetry, connection.agent, notification, bytes);
      },
      onStrayAnswer: (answer, stored) => {
        void this.detached.answered(agentId, answer, (wasDetached) => {
          if (!wasDetached) this.counters.strayAnswers += 1;
          stored();
        });
      },
      onDetached: (ids) => void this.detached.went(agentId, serverId, ids),
      onClosed: (code) => void this.#left(connection, code),
    });
    this.presence.opened(connection);
    return connection;
  }

  #supersede(connection: AgentConnection): void {
    const older = this.presence.replace(connection);
    if (older === undefined) return;
    this.counters.superseded += 1;
    const takesTurns = this.duplicates.superseded(
      tokenBearer(older.agent),
      tokenBearer(connection.agent),
    );
    if (takesTurns) this.counters.takingTurns += 1;
    older.close(CLOSE_CODES.SUPERSEDED, 'superseded by a newer connection', connectionLost());
  }

  /** The agent's process that counts is there: what neither it nor an open older one has is lost. */
  #collectAnswers(agentId: string): void {
    const current = this.presence.current(agentId);
    if (current === undefined || !this.detached.has(agentId)) return;
    const { hello } = current.agent;
    const others = this.presence.openOf(agentId).filter((connection) => connection !== current);
    void this.detached.came(
      agentId,
      hello,
      others.map(({ agent }) => agent.hello),
    );
  }

  #promoted(connection: AgentConnection): void {
    const older = this.presence.replace(connection);
    this.duplicates.clear(connection.agent.agentId);
    this.#collectAnswers(connection.agent.agentId);
    connection.notify(PROMOTED_METHOD, {});
    this.#recordArrival(connection, 'promoted');
    if (older !== undefined) retire(older, this.#options.timings.retireMaxMs);
    void lowerLater(this.#callDeps, connection);
    void redirectLater(this.#callDeps, connection);
    // Its end was taken for a candidate's if it came before its promotion was known here.
    if (connection.isClosed) void this.#left(connection, 1006);
  }

  async #left(connection: AgentConnection, code: number): Promise<void> {
    this.presence.closed(connection);
    if (this.candidates.left(connection)) {
      return this.#journal.record(connection.agent, 'candidate_left', { code });
    }
    this.#journal.record(connection.agent, 'disconnected', { code });
    if (!this.drop(connection)) return this.#collectAnswers(connection.agent.agentId);
    await this.departures.record(connection.agent.agentId, Date.now());
  }

  #recordArrival(connection: AgentConnection, type: string): void {
    const { hello, address } = connection.agent;
    this.seen(connection);
    this.#journal.record(connection.agent, type, { version: hello.version, address });
  }
}
