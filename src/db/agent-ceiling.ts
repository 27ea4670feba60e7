import { and, eq, inArray } from 'drizzle-orm';
import type { AgentAccess } from './agent-row.ts';
import type { Orm } from './connection.ts';
import { ACCESS, agents, registrationCodes } from './schema.ts';

/**
 * To be called inside a transaction; the contract is AgentRepository's. Whoever comes with a code or
 * as a candidate that was issued before is held to the lower ceiling, too.
 */
export function lowerAccess(orm: Orm, agentId: string, access: AgentAccess, now: number): boolean {
  const notBelow = inArray(agents.access, ACCESS.slice(ACCESS.indexOf(access)));
  const lowered = orm
    .update(agents)
    .set({ access, candidateAccess: null, updatedAt: now })
    .where(and(eq(agents.id, agentId), notBelow))
    .run();
  if (lowered.changes === 0) return false;
  orm
    .update(registrationCodes)
    .set({ access: null })
    .where(and(eq(registrationCodes.agentId, agentId), eq(registrationCodes.used, false)))
    .run();
  return true;
}
