import type { Logger } from 'pino';
import type { Streams } from '../../protocol/commands/define-command.ts';
import type { TomoError } from '../../protocol/errors.ts';
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
import { Changes } from './changes.ts';
import { CommandOutputs } from './command-outputs.ts';
import type { ConnectedAgent } from './connected-agent.ts';
import { connectionLost, isDetached, tooManyCalls } from './connection-errors.ts';
import { Departures } from './departures.ts';
import { DetachedCommands } from './detached-commands.ts';
import { Duplicates, type TokenBearer, tokenBearer } from './duplicates.ts';
import { EventSequence } from './event-sequence.ts';
import { LogIntake } from './log-intake.ts';
import { effectiveLogSettings, type LogSettings } from './log-settings.ts';
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
  readonly outputs: CommandOutputs;
  readonly logs: LogIntake;
  readonly eventSequence = new EventSequence();
  readonly changes = new Changes();
  readonly counters = {
    calls: 0,
    strayAnswers: 0,
    strayProgress: 0,
    superseded: 0,
    clonesRefused: 0,
    takingTurns: 0,
  };
  readonly #options: AttendanceOptions;
  readonly #debts = new AgentDebts();
  readonly #journal: AgentJournal;
  readonly #callDeps: Parameters<typeof redirectLater>[0];
  /** What candidates were told to collect. */
  readonly #candidateLogs = new WeakMap<AgentConnection, LogSettings>();
  #callsUnderWay = 0;

  constructor(options: AttendanceOptions) {
    const { db, log, timings, exclusively } = options;
    this.#options = options;
    this.telemetry = new TelemetryBuffer({
      db,
      log,
      flushMs: timings.flushMs,
      onEvent: (serverId) => this.changes.touch(serverId),
      beforeWrite: async () => {
        await this.departures.retry();
        await this.detached.retry();
      },
    });
    this.logs = new LogIntake(db.logs, log);
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
    this.outputs = new CommandOutputs({
      unreadMaxMs: timings.unreadMaxMs,
      abandon: (agentId, id, why) => this.#abandon(agentId, id, why),
    });
    this.detached = new DetachedCommands({
      commands: db.commands,
      log,
      onEnded: (id) => this.outputs.ended(id),
    });
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
    const { hello, row, candidateTokenHash, token } = admitted;
    const isAgent = candidateTokenHash === undefined;
    // An earlier hub began them, or this one has their output already.
    const streams = await this.detached.streamsOf(row.id, hello.held ?? []);
    for (const [id, mode] of streams ?? []) {
      this.outputs.open(id, { agentId: row.id, mode, isUnderWay: true });
    }
    const connection = this.#connect(arrival, (id) => {
      // What could not be looked up is believed: a result that is brought now is not brought again.
      return streams?.has(id) ?? hello.held?.includes(id) === true;
    });
    // A token that is new has no copies yet.
    if (isAgent && token !== undefined) this.duplicates.clear(row.id);
    if (isAgent) {
      this.#supersede(connection);
      this.#collectAnswers(row.id);
    }
    const logSettings = effectiveLogSettings(settings, row.config);
    if (isAgent) this.logs.welcome(row.id, logSettings);
    else this.#candidateLogs.set(connection, logSettings);
    connection.send(welcomeMessage(admitted, effectiveConfig(settings, row.config), logSettings));
    const type = hello.type === 'register' ? 'registered' : 'connected';
    this.#recordArrival(connection, isAgent ? type : 'candidate');
    if (!isAgent) this.candidates.park(connection, candidateTokenHash);
    else void redirect(this.#callDeps, connection, effectiveAddress(settings, row.config));
    connection.start();
    // A socket that closed during the handshake tells nobody: its close event has passed.
    if (connection.isClosed) await this.#left(connection, 1006);
  }

  /** The agent's credentials were taken. */
  revoked(agent: Pick<ConnectedAgent, 'agentId' | 'serverId'>): void {
    this.#journal.record(agent, 'revoked', {});
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
      const answer = await callAgent(connection, call, ({ streams }) => {
        this.counters.calls += 1;
        this.#openOutput(connection, call, streams);
      });
      this.outputs.ended(call.id);
      return answer;
    } catch (error) {
      // What a detached one puts out is told when its agent is back.
      if (!isDetached(error)) this.outputs.ended(call.id);
      throw error;
    } finally {
      this.#callsUnderWay -= 1;
    }
  }

  /** Tells an agent to stop a command, whose answer is still waited for. False if the agent is away. */
  cancel(agentId: string, id: string): boolean {
    return this.#reaching(agentId, id)?.cancel(id) ?? false;
  }

  /** Its agent is away from now on. False if it is not the agent's current connection any more. */
  drop(connection: AgentConnection): boolean {
    if (!this.presence.drop(connection)) return false;
    this.telemetry.forget(connection.agent.agentId);
    this.logs.forget(connection.agent.agentId);
    return true;
  }

  /** Of a candidate or a replaced process nothing is kept: only the agent itself counts. */
  seen(connection: AgentConnection): void {
    if (!this.presence.isCurrent(connection)) return;
    this.telemetry.seen(connection.agent.agentId, Date.now());
  }

  #connect(
    { admitted, socket, stream, address }: AdmittedArrival,
    isDetachedOne: (id: string) => boolean,
  ): AgentConnection {
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
        if (!this.presence.isCurrent(connection)) return false;
        return handleNotification(this, connection, notification, bytes);
      },
      onStrayAnswer: (answer, stored) => {
        void this.detached.answered(agentId, answer, (wasDetached) => {
          if (!wasDetached) this.counters.strayAnswers += 1;
          stored();
        });
      },
      owes: (id) => isDetachedOne(id) || this.outputs.isLive(id, agentId),
      onProgress: (progress, acknowledge) => this.outputs.take(agentId, progress, acknowledge),
      onStrayProgress: () => {
        this.counters.strayProgress += 1;
      },
      onDetached: (ids) => void this.detached.went(agentId, serverId, ids),
      onClosed: (code) => void this.#left(connection, code),
    });
    this.presence.opened(connection);
    return connection;
  }

  #openOutput({ agent }: AgentConnection, { id, hasRow }: AgentCall, mode: Streams): void {
    if (hasRow !== true || agent.hello.protocol === undefined) return;
    this.outputs.open(id, { agentId: agent.agentId, mode });
  }

  /** Stops a command for a reason of the hub's own. False if its agent is away. */
  #abandon(agentId: string, id: string, why: TomoError): boolean {
    const connection = this.#reaching(agentId, id);
    if (connection?.cancel(id) !== true) return false;
    if (!connection.abandon(id, why)) void this.detached.stopped(agentId, id, why);
    return true;
  }

  /** The socket of the process that a command runs in, which may have been replaced. */
  #reaching(agentId: string, id: string): AgentConnection | undefined {
    const connections = this.presence.openOf(agentId);
    return connections.find((each) => each.awaits(id)) ?? this.presence.current(agentId);
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
    const { agentId } = connection.agent;
    this.duplicates.clear(agentId);
    this.#collectAnswers(agentId);
    this.logs.promoted(agentId, this.#candidateLogs.get(connection));
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
