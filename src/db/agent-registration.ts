import { and, eq, gt, type SQL, sql } from 'drizzle-orm';
import {
  type AgentAccess,
  type AgentHello,
  type AgentRow,
  agentColumns,
  helloColumns,
  type Labels,
  machineIdentity,
} from './agent-row.ts';
import { newTokenColumns, noCandidate } from './agent-tokens.ts';
import type { Orm } from './connection.ts';
import { agents, registrationCodes, servers } from './schema.ts';

export interface Installation {
  /** Used only if the server has no agent yet. */
  agentId: string;
  serverId: string;
  /** In force when the code is used, at once for an agent that has no token. */
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
  const { codeId, codeHash, access, expiresAt, now } = installation;
  upsertServer(orm, installation);
  const agent = upsertAgent(orm, installation);
  voidCodes(orm, eq(registrationCodes.agentId, agent.id));
  orm
    .insert(registrationCodes)
    .values({ id: codeId, agentId: agent.id, codeHash, access, expiresAt, createdAt: now })
    .run();
  return agent;
}

/** To be called inside a transaction; the contract is AgentRepository's. */
export function registerAgent(orm: Orm, registration: Registration): RegistrationResult {
  const code = takeCode(orm, registration);
  if (code === undefined) return { outcome: refusal(orm, registration.codeHash) };
  return code.kind === 'candidate'
    ? { outcome: 'candidate', agent: setCandidate(orm, code, registration) }
    : { outcome: 'registered', agent: setToken(orm, code, registration) };
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
  // One that has a token keeps its ceiling until the code is used.
  const chosen = sql`iif(${agents.tokenHash} IS NULL, ${access}, ${agents.access})`;
  return orm
    .insert(agents)
    .values({ id: agentId, serverId, access, createdAt: now, updatedAt: now })
    .onConflictDoUpdate({
      target: agents.serverId,
      set: { access: chosen, status, ...noCandidate, updatedAt: now },
    })
    .returning(agentColumns)
    .get();
}

interface TakenCode {
  readonly agentId: string;
  readonly kind: 'install' | 'candidate';
  readonly access: AgentAccess | null;
}

/** One statement both checks and marks the code, so that no two callers can have it. */
function takeCode(orm: Orm, { codeHash, now }: Registration): TakenCode | undefined {
  const { codeHash: hash, used, expiresAt, agentId, kind, access } = registrationCodes;
  const [taken] = orm
    .update(registrationCodes)
    .set({ used: true })
    .where(and(eq(hash, codeHash), eq(used, false), gt(expiresAt, now)))
    .returning({ agentId, kind, access })
    .all();
  return taken;
}

/** The agent is there: its codes go with it. */
function setToken(orm: Orm, { agentId, access }: TakenCode, registration: Registration): AgentRow {
  const { tokenHash, hello, now } = registration;
  return orm
    .update(agents)
    .set({
      ...helloColumns(hello, now),
      ...newTokenColumns(tokenHash, hello, now),
      ...(access === null ? {} : { access }),
    })
    .where(eq(agents.id, agentId))
    .returning(agentColumns)
    .get();
}

/** Nothing else of the agent changes before the candidate is promoted. */
function setCandidate(
  orm: Orm,
  { agentId, access }: TakenCode,
  { tokenHash, hello }: Registration,
): AgentRow {
  return orm
    .update(agents)
    .set({
      candidateTokenHash: tokenHash,
      candidateAccess: access,
      candidateIdentity: machineIdentity(hello.host),
    })
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
