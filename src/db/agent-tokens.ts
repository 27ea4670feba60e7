import { and, asc, eq, isNotNull, isNull, lt, lte, type SQL, sql } from 'drizzle-orm';
import {
  type AgentHello,
  type AgentHost,
  type AgentRow,
  agentColumns,
  helloColumns,
  machineIdentity,
} from './agent-row.ts';
import type { Orm } from './connection.ts';
import { agents } from './schema.ts';

const ROTATE_METHOD = 'agent.rotate_token';

/** A token that a rotation offers, and until when the one in force is good beside it. */
export interface TokenOffer {
  tokenHash: string;
  expiresAt: number;
}

export interface Authentication {
  agentId: string;
  /** The token that was shown: the one in force or the pending one. */
  tokenHash: string;
  hello: AgentHello;
  /** The token's machine, with what the agent has told anew. */
  identity: AgentHost | null;
  now: number;
}

/** What goes with a candidate's end. */
export const noCandidate = {
  candidateTokenHash: null,
  candidateAccess: null,
  candidateIdentity: null,
};

const noPendingToken = {
  pendingTokenHash: null,
  pendingTokenExpiresAt: null,
  pendingTokenStored: false,
};

/** The token in force, or, if there is none any more, the one that was revoked before. */
const replacedTokenHash = sql`coalesce(${agents.tokenHash}, ${agents.revokedTokenHash})`;

/**
 * What a registration and a promotion set: the token is the agent's only one, and that of the process
 * it replaces is known as revoked, so that this one learns it. An agent that was offered a token has
 * kept the one in force as well, so that one hash is enough.
 */
export function newTokenColumns(tokenHash: string, hello: AgentHello, now: number) {
  return {
    tokenHash,
    tokenIssuedAt: now,
    revokedTokenHash: replacedTokenHash,
    ...noCandidate,
    ...noPendingToken,
    identity: machineIdentity(hello.host),
    registeredAt: now,
  };
}

/** What a revocation sets. The pending token's hash stays, and counts as a revoked one from now on. */
export function revokedTokenColumns() {
  return {
    revokedTokenHash: replacedTokenHash,
    tokenHash: null,
    pendingTokenExpiresAt: null,
    pendingTokenStored: false,
    ...noCandidate,
  };
}

/** Each statement checks the token, so that one replaced or revoked meanwhile is never accepted. */
export function authenticateAgent(orm: Orm, authentication: Authentication): boolean {
  const { agentId, tokenHash, hello, identity, now } = authentication;
  const seen = { ...helloColumns(hello, now), identity };
  const isInForce = and(eq(agents.id, agentId), eq(agents.tokenHash, tokenHash));
  if (orm.update(agents).set(seen).where(isInForce).run().changes > 0) return true;
  const replaced = { ...seen, tokenHash, tokenIssuedAt: now, ...noPendingToken };
  return orm.update(agents).set(replaced).where(isPending(agentId, tokenHash)).run().changes > 0;
}

export function offerToken(orm: Orm, agentId: string, { tokenHash, expiresAt }: TokenOffer) {
  const offer = {
    pendingTokenHash: tokenHash,
    pendingTokenExpiresAt: expiresAt,
    pendingTokenStored: false,
  };
  const hasToken = and(eq(agents.id, agentId), isNotNull(agents.tokenHash));
  return orm.update(agents).set(offer).where(hasToken).run().changes > 0;
}

export function markTokenStored(orm: Orm, agentId: string, tokenHash: string, now: number) {
  const stored = { pendingTokenStored: true, updatedAt: now };
  return orm.update(agents).set(stored).where(isPending(agentId, tokenHash)).run().changes > 0;
}

/** Without a token in force the pending one is a revoked agent's. */
function isPending(agentId: string, tokenHash: string): SQL | undefined {
  const { id, tokenHash: inForce, pendingTokenHash } = agents;
  return and(eq(id, agentId), isNotNull(inForce), eq(pendingTokenHash, tokenHash));
}

export function endGrace(orm: Orm, now: number): number {
  const changes = {
    tokenHash: sql`iif(${agents.pendingTokenStored}, ${agents.pendingTokenHash}, ${agents.tokenHash})`,
    tokenIssuedAt: sql`iif(${agents.pendingTokenStored}, ${now}, ${agents.tokenIssuedAt})`,
    ...noPendingToken,
  };
  const isOver = and(
    isNotNull(agents.tokenHash),
    isNotNull(agents.pendingTokenHash),
    lte(agents.pendingTokenExpiresAt, now),
  );
  return orm.update(agents).set(changes).where(isOver).run().changes;
}

/** Only agents that can rotate: the others would take the places of the limit for ever. */
export function tokensDue(orm: Orm, issuedBefore: number, limit: number): AgentRow[] {
  const canRotate = sql`EXISTS (
    SELECT 1 FROM json_each(${agents.capabilities}) AS method WHERE method.value = ${ROTATE_METHOD}
  )`;
  return orm
    .select(agentColumns)
    .from(agents)
    .where(
      and(
        eq(agents.status, 'connected'),
        lt(agents.tokenIssuedAt, issuedBefore),
        isNull(agents.pendingTokenHash),
        canRotate,
      ),
    )
    .orderBy(asc(agents.tokenIssuedAt), asc(agents.id))
    .limit(limit)
    .all();
}
