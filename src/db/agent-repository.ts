import { and, asc, eq, inArray, lt, or, type SQL, sql } from 'drizzle-orm';
import {
  dropCandidate,
  issueTicket,
  type Promotion,
  promoteCandidate,
  type Ticket,
} from './agent-candidacy.ts';
import { lowerAccess } from './agent-ceiling.ts';
import { type AgentFilter, agentCondition } from './agent-filter.ts';
import {
  type Installation,
  installAgent,
  type Registration,
  type RegistrationResult,
  registerAgent,
  voidCodes,
} from './agent-registration.ts';
import { removeServer } from './agent-removal.ts';
import {
  type AgentAccess,
  type AgentHost,
  type AgentRow,
  agentColumns,
  pendingTokenCounts,
} from './agent-row.ts';
import {
  type Authentication,
  authenticateAgent,
  endGrace,
  markTokenStored,
  offerToken,
  revokedTokenColumns,
  type TokenOffer,
  tokensDue,
} from './agent-tokens.ts';
import type { Connection } from './connection.ts';
import { agents, registrationCodes } from './schema.ts';

type AgentChanges = Partial<typeof agents.$inferInsert>;

export interface TokenMatch {
  agent: AgentRow;
  /** Which of the agent's tokens it is: in force, offered by a rotation, a candidate's, or revoked. */
  match: 'current' | 'pending' | 'candidate' | 'revoked';
}

/** The agents, their servers' labels and their registration codes. Methods throw DatabaseError. */
export class AgentRepository {
  readonly #connection: Connection;
  readonly #findById: ReturnType<typeof prepareFind>;
  readonly #findByServer: ReturnType<typeof prepareFind>;
  readonly #findByTokenHash: ReturnType<typeof prepareFindByTokenHash>;
  readonly #touch: ReturnType<typeof prepareTouch>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#findById = prepareFind(connection, eq(agents.id, sql.placeholder('key')));
    this.#findByServer = prepareFind(connection, eq(agents.serverId, sql.placeholder('key')));
    this.#findByTokenHash = prepareFindByTokenHash(connection);
    this.#touch = prepareTouch(connection);
  }

  /**
   * Makes the server and its agent if there are none, and gives the agent a fresh code in place of
   * all earlier ones. A revoked agent becomes pending; any other keeps its status and its token. A
   * candidate and the tickets for one are gone.
   */
  async install(installation: Installation): Promise<AgentRow> {
    return this.#connection.transaction(() => installAgent(this.#connection.orm, installation));
  }

  async findById(agentId: string): Promise<AgentRow | undefined> {
    return this.#connection.run(() => this.#findById.get({ key: agentId }));
  }

  async findByServer(serverId: string): Promise<AgentRow | undefined> {
    return this.#connection.run(() => this.#findByServer.get({ key: serverId }));
  }

  async findByTokenHash(hash: string): Promise<TokenMatch | undefined> {
    return this.#connection.run(() => this.#findByTokenHash.get({ hash }));
  }

  /**
   * Trades a code for a token: of any number of simultaneous uses of one code exactly one wins. A
   * refused one writes nothing. A ticket gives a candidate's token and changes nothing else.
   */
  async register(registration: Registration): Promise<RegistrationResult> {
    return this.#connection.transaction(() => registerAgent(this.#connection.orm, registration));
  }

  /**
   * Gives an agent a one-time code for a candidate in place of its earlier unused ones; codes of
   * `install` stay. False, and nothing written, if there is no such agent or it is revoked.
   */
  async issueTicket(ticket: Ticket): Promise<boolean> {
    return this.#connection.transaction(() => issueTicket(this.#connection.orm, ticket));
  }

  /**
   * Makes the candidate's token the agent's only one, with what the candidate told of itself. False,
   * and nothing written, if that candidate is not the agent's any more.
   */
  async promote(promotion: Promotion): Promise<boolean> {
    return this.#connection.run(() => promoteCandidate(this.#connection.orm, promotion));
  }

  /** Ends a candidate's token and unused tickets. False if there were none, as after a promotion. */
  async dropCandidate(agentId: string): Promise<boolean> {
    return this.#connection.transaction(() => dropCandidate(this.#connection.orm, agentId));
  }

  /**
   * Records that an agent's token was accepted; a pending one is the one in force from now on. False,
   * and nothing written, if the token is neither any more.
   */
  async authenticated(authentication: Authentication): Promise<boolean> {
    return this.#connection.run(() => authenticateAgent(this.#connection.orm, authentication));
  }

  /**
   * Writes a token that a rotation is about to offer, in place of an earlier one; the token in force
   * is good beside it. False if there is no such agent or it has no token in force.
   */
  async offerToken(agentId: string, offer: TokenOffer): Promise<boolean> {
    return this.#connection.run(() => offerToken(this.#connection.orm, agentId, offer));
  }

  /** The agent keeps the token it was offered. False if that is not the pending one any more. */
  async tokenStored(agentId: string, tokenHash: string, now: number): Promise<boolean> {
    return this.#connection.run(() =>
      markTokenStored(this.#connection.orm, agentId, tokenHash, now),
    );
  }

  /**
   * Ends the rotations whose grace is over: a pending token that its agent keeps is the one in force,
   * any other is gone. Answers how many ended.
   */
  async endGrace(now: number): Promise<number> {
    return this.#connection.run(() => endGrace(this.#connection.orm, now));
  }

  /**
   * Connected agents that can take a new token, have none pending, and whose token was given before a
   * time; the oldest tokens first.
   */
  async tokensDue(issuedBefore: number, limit: number): Promise<AgentRow[]> {
    return this.#connection.run(() => tokensDue(this.#connection.orm, issuedBefore, limit));
  }

  /** Lowers an agent's ceiling. False, and nothing written, if there is no such agent or it is lower. */
  async lowerAccess(agentId: string, access: AgentAccess, now: number): Promise<boolean> {
    return this.#connection.transaction(() =>
      lowerAccess(this.#connection.orm, agentId, access, now),
    );
  }

  /** Sets the machine that the agent's token belongs to. False if there is no such agent. */
  async setIdentity(agentId: string, identity: AgentHost | null, now: number): Promise<boolean> {
    return this.#update({ identity, updatedAt: now }, eq(agents.id, agentId));
  }

  /** Only a connected agent becomes disconnected; one that is being updated or revoked stays so. */
  async disconnected(agentId: string, now: number): Promise<void> {
    const gone = { status: 'disconnected' as const, lastSeen: now, updatedAt: now };
    await this.#update(gone, and(eq(agents.id, agentId), eq(agents.status, 'connected')));
  }

  /** For the start of the program, when no agent can be connected. Answers how many were said to be. */
  async disconnectAll(now: number): Promise<number> {
    return this.#connection.run(
      () =>
        this.#connection.orm
          .update(agents)
          .set({ status: 'disconnected', updatedAt: now })
          .where(inArray(agents.status, ['connected', 'updating']))
          .run().changes,
    );
  }

  /**
   * Ends the agent's tokens and codes; the token in force and the pending one are known as revoked.
   * False if there is no such agent.
   */
  async revoke(agentId: string, now: number): Promise<boolean> {
    const { orm } = this.#connection;
    const changes = { ...revokedTokenColumns(), status: 'revoked' as const, updatedAt: now };
    return this.#connection.transaction(() => {
      voidCodes(orm, eq(registrationCodes.agentId, agentId));
      return orm.update(agents).set(changes).where(eq(agents.id, agentId)).run().changes > 0;
    });
  }

  /** See removeServer. */
  async forget(serverId: string): Promise<boolean> {
    return removeServer(this.#connection, serverId);
  }

  async setConfig(
    agentId: string,
    config: Record<string, unknown> | null,
    now: number,
  ): Promise<void> {
    await this.#update({ config, updatedAt: now }, eq(agents.id, agentId));
  }

  /** Writes when agents were last heard of, all in one transaction. */
  async touch(seen: ReadonlyArray<{ agentId: string; lastSeen: number }>): Promise<void> {
    await this.#connection.transaction(() => {
      for (const { agentId, lastSeen } of seen) this.#touch.run({ agentId, lastSeen });
    });
  }

  /** Ordered by server id; for the next page, give the last one as `after`. */
  async list(filter: AgentFilter & { limit: number }): Promise<AgentRow[]> {
    return this.#connection.run(() =>
      this.#connection.orm
        .select(agentColumns)
        .from(agents)
        .where(agentCondition(filter))
        .orderBy(asc(agents.serverId))
        .limit(filter.limit)
        .all(),
    );
  }

  /** Forgets the codes that expired before a time. Answers how many. */
  async deleteExpiredCodes(before: number): Promise<number> {
    return this.#connection.run(
      () =>
        this.#connection.orm
          .delete(registrationCodes)
          .where(lt(registrationCodes.expiresAt, before))
          .run().changes,
    );
  }

  async #update(changes: AgentChanges, which: SQL | undefined): Promise<boolean> {
    const { orm } = this.#connection;
    return this.#connection.run(
      () => orm.update(agents).set(changes).where(which).run().changes > 0,
    );
  }
}

function prepareFind({ orm }: Connection, condition: SQL) {
  return orm.select(agentColumns).from(agents).where(condition).prepare();
}

function prepareFindByTokenHash({ orm }: Connection) {
  const hash = sql.placeholder('hash');
  const match = sql<TokenMatch['match']>`CASE ${hash}
    WHEN ${agents.tokenHash} THEN 'current'
    WHEN iif(${pendingTokenCounts}, ${agents.pendingTokenHash}, NULL) THEN 'pending'
    WHEN ${agents.candidateTokenHash} THEN 'candidate'
    ELSE 'revoked' END`;
  return orm
    .select({ agent: agentColumns, match })
    .from(agents)
    .where(
      or(
        eq(agents.tokenHash, hash),
        eq(agents.pendingTokenHash, hash),
        eq(agents.candidateTokenHash, hash),
        eq(agents.revokedTokenHash, hash),
      ),
    )
    .prepare();
}

function prepareTouch({ orm }: Connection) {
  return orm
    .update(agents)
    .set({ lastSeen: sql`${sql.placeholder('lastSeen')}` })
    .where(eq(agents.id, sql.placeholder('agentId')))
    .prepare();
}
