import { and, eq, isNotNull, ne, sql } from 'drizzle-orm';
import { voidCodes } from './agent-registration.ts';
import { type AgentAccess, type AgentHello, helloColumns } from './agent-row.ts';
import { newTokenColumns, noCandidate } from './agent-tokens.ts';
import type { Orm } from './connection.ts';
import { agents, registrationCodes } from './schema.ts';

/** A one-time code for a second process of an agent, which is to take the first one's place. */
export interface Ticket {
  agentId: string;
  codeId: string;
  codeHash: string;
  /** The ceiling from the promotion on; as it is if left out. */
  access?: AgentAccess | undefined;
  expiresAt: number;
  now: number;
}

export interface Promotion {
  agentId: string;
  /** The candidate's token as it was admitted. */
  tokenHash: string;
  hello: AgentHello;
  now: number;
}

/** To be called inside a transaction; the contract is AgentRepository's. */
export function issueTicket(orm: Orm, ticket: Ticket): boolean {
  const { agentId, codeId, codeHash, access = null, expiresAt, now } = ticket;
  const candidable = and(eq(agents.id, agentId), ne(agents.status, 'revoked'));
  if (orm.select({ id: agents.id }).from(agents).where(candidable).get() === undefined)
    return false;
  voidTickets(orm, agentId);
  orm
    .insert(registrationCodes)
    .values({ id: codeId, agentId, codeHash, kind: 'candidate', access, expiresAt, createdAt: now })
    .run();
  return true;
}

/** One statement, so that a candidate that was dropped or replaced meanwhile is never promoted. */
export function promoteCandidate(orm: Orm, { agentId, tokenHash, hello, now }: Promotion): boolean {
  const changes = {
    ...helloColumns(hello, now),
    ...newTokenColumns(tokenHash, hello, now),
    access: sql`coalesce(${agents.candidateAccess}, ${agents.access})`,
  };
  const isTheOne = and(eq(agents.id, agentId), eq(agents.candidateTokenHash, tokenHash));
  return orm.update(agents).set(changes).where(isTheOne).run().changes > 0;
}

/** To be called inside a transaction; the contract is AgentRepository's. */
export function dropCandidate(orm: Orm, agentId: string): boolean {
  const tickets = voidTickets(orm, agentId);
  const hasCandidate = and(eq(agents.id, agentId), isNotNull(agents.candidateTokenHash));
  const update = orm.update(agents).set(noCandidate).where(hasCandidate);
  return update.run().changes + tickets > 0;
}

function voidTickets(orm: Orm, agentId: string): number {
  const { agentId: owner, kind } = registrationCodes;
  return voidCodes(orm, and(eq(owner, agentId), eq(kind, 'candidate')));
}
