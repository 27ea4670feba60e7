import { and, eq, gt, sql } from 'drizzle-orm';
import {
  type AgentAccess,
  type AgentHello,
  type AgentRow,
  agentColumns,
  helloColumns,
  type Labels,
} from './agent-row.ts';
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

export type RegistrationResult =
  | { outcome: 'registered'; agent: AgentRow }
  | { outcome: 'unknown' | 'used' | 'expired' };

/** To be called inside a transaction; the contract is AgentRepository's. */
export function installAgent(orm: Orm, installation: Installation): AgentRow {
  const { codeId, codeHash, expiresAt, now } = installation;
  upsertServer(orm, installation);
  const agent = upsertAgent(orm, installation);
  orm.delete(registrationCodes).where(eq(registrationCodes.agentId, agent.id)).run();
  orm
    .insert(registrationCodes)
    .values({ id: codeId, agentId: agent.id, codeHash, expiresAt, createdAt: now })
    .run();
  return agent;
}

/** To be called inside a transaction; the contract is AgentRepository's. */
export function registerAgent(orm: Orm, registration: Registration): RegistrationResult {
  const agentId = takeCode(orm, registration);
  const agent = agentId === undefined ? undefined : setToken(orm, agentId, registration);
  return agent === undefined
    ? { outcome: refusal(orm, registration.codeHash) }
    : { outcome: 'registered', agent };
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
    .onConflictDoUpdate({ target: agents.serverId, set: { access, status, updatedAt: now } })
    .returning(agentColumns)
    .get();
}

/** One statement both checks and marks the code, so that no two callers can have it. */
function takeCode(orm: Orm, { codeHash, now }: Registration): string | undefined {
  const { codeHash: hash, used, expiresAt, agentId } = registrationCodes;
  const [taken] = orm
    .update(registrationCodes)
    .set({ used: true })
    .where(and(eq(hash, codeHash), eq(used, false), gt(expiresAt, now)))
    .returning({ agentId })
    .all();
  return taken?.agentId;
}

function setToken(orm: Orm, agentId: string, registration: Registration): AgentRow | undefined {
  const { tokenHash, hello, now } = registration;
  const [agent] = orm
    .update(agents)
    .set({ ...helloColumns(hello, now), tokenHash, pendingTokenHash: null, registeredAt: now })
    .where(eq(agents.id, agentId))
    .returning(agentColumns)
    .all();
  return agent;
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
