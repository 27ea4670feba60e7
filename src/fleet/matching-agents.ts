import type { AgentFilter } from '../db/agent-filter.ts';
import type { AgentRow } from '../db/agent-row.ts';
import type { FleetContext } from './fleet-context.ts';

const PAGE_COUNT = 1_000;

interface Selection {
  readonly server_ids?: readonly string[] | undefined;
  readonly labels?: AgentFilter['labels'];
}

/** All agents that meet every condition given, in the order of their servers' ids. */
export async function matchingAgents(
  db: FleetContext['db'],
  { server_ids, labels }: Selection,
): Promise<AgentRow[]> {
  const rows: AgentRow[] = [];
  for (;;) {
    const after = rows.at(-1)?.serverId;
    const page = await db.agents.list({ serverIds: server_ids, labels, after, limit: PAGE_COUNT });
    rows.push(...page);
    if (page.length < PAGE_COUNT) return rows;
  }
}
