import { and, eq, gt, type SQL, sql } from 'drizzle-orm';
import {
  type AgentAccess,
  type AgentHello,
  type AgentRow,
  agentColumns,
  helloColumns,
  type Labels,
} from './agent-row.ts';
import { newTokenColumns } from './agent-tokens.ts';
import type { Orm } from './connection.ts';
import { agents, registrationCodes, servers } from './schema.ts';

export interface Installation {
  /** Used only if the server has no agent yet. */
  agentId: string;
  serverId: string;
  access: AgentAccess;
  /** Replace the server's labels; left as they are when absent. */
  labels?: Labels | undefined;
  codeId: string;
  codeHash: string;
  expiresAt: number;
  now: number;
}

export interface Registration {
  codeHash: string;
  tokenHash: string;
  now: number;
  hello: AgentHello;
}

/** `used`: it was taken, or a newer one or a revocation voided it. */
export type RegistrationResult =
  | { outcome: 'registered' | 'candidate'; agent: AgentRow }
  | { outcome: 'unknown' | 'used' | 'expired' };

/** To be called inside a transaction; the contract is AgentRepository's. */
export function installAgent(orm: Orm, installation: Installation): AgentRow {
  const { codeId, codeHash, expiresAt, now } = installation;
  upsertServer(orm, installation);
  const agent = upsertAgent(orm, installation);
  voidCodes(orm, eq(registrationCodes.agentId, agent.id));
  orm
    .insert(registrationCodes)
    .values({ id: codeId, agentId: agent.id, codeHash, expiresAt, createdAt: now })
    .run();
  return agent;
}

/** To be called inside a transaction; the contract is AgentRepository's. */
export function registerAgent(orm: Orm, registration: Registration): RegistrationResult {
  const code = takeCode(orm, registration);
  if (code === undefined) return { outcome: refusal(orm, registration.codeHash) };
  const { agentId } = code;
  return code.kind === 'candidate'
    ? { outcome: 'candidate', agent: setCandidate(orm, agentId, registration) }
    : { outcome: 'registered', agent: setToken(orm, agentId, registration) };
}

/**
 * Makes unused codes used; answers how many. They are not deleted, so that an agent that comes with
 * one later is told so and is not taken for somebody who guesses.
 */
export function voidCodes(orm: Orm, which: SQL | undefined): number {
  const unused = and(which, eq(registrationCodes.used, false));
  return orm.update(registrationCodes).set({ used: true }).where(unused).run().changes;
}

function upsertServer(orm: Orm, { serverId, labels, now }: Installation): void {
  const insert = orm.insert(servers).values({ id: serverId, labels: labels ?? {}, createdAt: now });
  if (labels === undefined) insert.onConflictDoNothing().run();
  else insert.onConflictDoUpdate({ target: servers.id, set: { labels } }).run();
}

function upsertAgent(orm: Orm, { agentId, serverId, access, now }: Installation): AgentRow {
  const status = sql`iif(${agents.status} = 'revoked', 'pending', ${agents.status})`;
  return orm
    .insert(agents)
    .values({ id: agentId, serverId, access, createdAt: now, updatedAt: now })
    .onConflictDoUpdate({
      target: agents.serverId,
      set: { access, status, candidateTokenHash: null, updatedAt: now },
    })
    .returning(agentColumns)
    .get();
}

/** One statement both checks and marks the code, so that no two callers can have it. */
function takeCode(orm: Orm, { codeHash, now }: Registration) {
  const { codeHash: hash, used, expiresAt, agentId, kind } = registrationCodes;
  const [taken] = orm
    .update(registrationCodes)
    .set({ used: true })
    .where(and(eq(hash, codeHash), eq(used, false), gt(expiresAt, now)))
    .returning({ agentId, kind })
    .all();
  return taken;
}

/** The agent is there: its codes go with it. */
function setToken(orm: Orm, agentId: string, registration: Registration): AgentRow {
  const { tokenHash, hello, now } = registration;
  return orm
    .update(agents)
    .set({ ...helloColumns(hello, now), ...newTokenColumns(tokenHash, hello, now) })
    .where(eq(agents.id, agentId))
    .returning(agentColumns)
    .get();
}

/** Nothing else of the agent changes before the candidate is promoted. */
function setCandidate(orm: Orm, agentId: string, { tokenHash }: Registration): AgentRow {
  return orm
    .update(agents)
    .set({ candidateTokenHash: tokenHash })
    .where(eq(agents.id, agentId))
    .returning(agentColumns)
    .get();
}

function refusal(orm: Orm, codeHash: string): 'unknown' | 'used' | 'expired' {
  const code = orm
    .select({ used: registrationCodes.used })
    .from(registrationCodes)
    .where(eq(registrationCodes.codeHash, codeHash))
    .get();
  if (code === undefined) return 'unknown';
  return code.used ? 'used' : 'expired';
}
