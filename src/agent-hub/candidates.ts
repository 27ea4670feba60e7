import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { CATALOGUE } from '../../protocol/commands/catalogue.ts';
import { TomoError } from '../../protocol/errors.ts';
import { CLOSE_CODES } from '../../protocol/handshake.ts';
import type { AgentRepository } from '../db/agent-repository.ts';
import { helloFields } from './admission.ts';
import type { AgentConnection } from './agent-connection.ts';
import { AgentWaits } from './agent-waits.ts';
import { checkResult } from './command-gate.ts';
import { connectionLost } from './connection-errors.ts';

const PING = 'agent.ping';

/** How a candidacy ended. */
export type CandidacyEnd = 'promoted' | 'dropped';

export interface CandidatesOptions {
  readonly agents: Pick<AgentRepository, 'promote'>;
  readonly log: Logger;
  readonly pingMs: number;
  /** Runs a step that no admission and no revocation comes between. */
  readonly exclusively: (step: () => Promise<void>) => Promise<void>;
  /** Called once the candidate is the agent in the database: it is to take the older one's place. */
  readonly onPromoted: (connection: AgentConnection) => void;
}

/**
 * Processes that are to take the place of their agents' current ones: parked beside them, at most
 * one for each agent, until they have answered a ping.
 */
export class Candidates {
  readonly #options: CandidatesOptions;
  readonly #parked = new Map<string, AgentConnection>();
  /** Every connection that came as a candidate and is not promoted, parked or not. */
  readonly #unpromoted = new WeakSet<AgentConnection>();
  readonly #ends = new AgentWaits<CandidacyEnd>();
  #promoting: AgentConnection | undefined;

  constructor(options: CandidatesOptions) {
    this.#options = options;
  }

  /** How the candidacy under way, or the agent's next one, ends. */
  nextEnd(agentId: string, signal: AbortSignal): Promise<CandidacyEnd> {
    return this.#ends.next(agentId, signal);
  }

  /** Keeps a candidate, in place of an older one of its agent, and tries it. */
  park(connection: AgentConnection, tokenHash: string): void {
    const { agentId } = connection.agent;
    const older = this.#parked.get(agentId);
    this.#parked.set(agentId, connection);
    this.#unpromoted.add(connection);
    older?.close(CLOSE_CODES.SUPERSEDED, 'superseded by a newer candidate', connectionLost());
    void this.#try(connection, tokenHash);
  }

  /** Ends the agent's candidacy: parked no more and never promoted. Its socket is the caller's to close. */
  drop(agentId: string): AgentConnection | undefined {
    const connection = this.#parked.get(agentId);
    this.#parked.delete(agentId);
    this.#ends.end(agentId, 'dropped');
    return connection;
  }

  /** To be told of every socket that closed. Whether it was that of a candidate, not of an agent. */
  left(connection: AgentConnection): boolean {
    // Whether a promotion under way took effect decides it, and not which news came first.
    if (connection !== this.#promoting && this.#isParked(connection)) {
      this.drop(connection.agent.agentId);
    }
    return this.#unpromoted.has(connection);
  }

  async #try(connection: AgentConnection, tokenHash: string): Promise<void> {
    try {
      await this.#ping(connection);
      await this.#options.exclusively(() => this.#promote(connection, tokenHash));
    } catch (cause) {
      // Superseded, dropped or revoked meanwhile: whoever did that has closed it.
      if (!this.#isParked(connection)) return;
      const { agentId, serverId } = connection.agent;
      this.drop(agentId);
      this.#options.log.warn({ err: cause, server: serverId }, 'a candidate was not promoted');
      // A fault of ours, such as the database's, is no reason for it to redial slowly.
      const fault = !(cause instanceof TomoError);
      const code = fault ? CLOSE_CODES.INTERNAL_ERROR : CLOSE_CODES.NOT_AUTHENTICATED;
      connection.close(code, 'candidate not promoted', connectionLost());
    }
  }

  async #ping(connection: AgentConnection): Promise<void> {
    const { pingMs } = this.#options;
    const call = { id: randomUUID(), method: PING, params: {}, timeoutMs: pingMs };
    const { result } = await connection.call({ ...call, signal: undefined });
    checkResult(PING, CATALOGUE[PING], result);
  }

  async #promote(connection: AgentConnection, tokenHash: string): Promise<void> {
    if (!this.#isParked(connection)) return;
    const { agentId, hello } = connection.agent;
    this.#promoting = connection;
    try {
      const promotion = { agentId, tokenHash, hello: helloFields(hello), now: Date.now() };
      if (!(await this.#options.agents.promote(promotion))) throw noLongerCandidate();
    } finally {
      this.#promoting = undefined;
    }
    this.#parked.delete(agentId);
    this.#unpromoted.delete(connection);
    this.#options.onPromoted(connection);
    this.#ends.end(agentId, 'promoted');
  }

  #isParked(connection: AgentConnection): boolean {
    return this.#parked.get(connection.agent.agentId) === connection;
  }
}

function noLongerCandidate(): TomoError {
  return new TomoError('TOKEN_UNKNOWN', 'The agent was installed anew or has another candidate.');
}
