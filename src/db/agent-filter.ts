import { and, eq, gt, type SQL, sql } from 'drizzle-orm';
import type { AgentStatus, Labels } from './agent-row.ts';
import { agents } from './schema.ts';

/** Which agents to list: those that meet every condition given. */
export interface AgentFilter {
  status?: AgentStatus | undefined;
  /** All of these labels, with these values. */
  labels?: Labels | undefined;
  serverIds?: readonly string[] | undefined;
  /** Only servers whose id sorts after this one. */
  after?: string | undefined;
}

export function agentCondition(filter: AgentFilter): SQL | undefined {
  const { status, labels = {}, serverIds, after } = filter;
  return and(
    status === undefined ? undefined : eq(agents.status, status),
    after === undefined ? undefined : gt(agents.serverId, after),
    // One JSON parameter, since SQLite limits the number of parameters.
    serverIds &&
      sql`${agents.serverId} IN (SELECT value FROM json_each(${JSON.stringify(serverIds)}))`,
    ...Object.entries(labels).map(([key, value]) => hasLabel(key, value)),
  );
}

/** Compares with json_each's keys and not with a JSON path, in which dots and quotes have a meaning. */
function hasLabel(key: string, value: string): SQL {
  return sql`EXISTS (
    SELECT 1 FROM servers, json_each(servers.labels) AS label
    WHERE servers.id = ${agents.serverId} AND label.key = ${key} AND label.value = ${value}
  )`;
}
