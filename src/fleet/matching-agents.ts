import { TomoError } from '../../protocol/errors.ts';
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

/** The same. Throws UNKNOWN_SERVER if a server that is named has none, saying what that means. */
export async function namedAgents(
  db: FleetContext['db'],
  selection: Selection,
  consequence = '',
): Promise<AgentRow[]> {
  const rows = await matchingAgents(db, selection);
  const found = new Set(rows.map(({ serverId }) => serverId));
  const missing = selection.server_ids?.filter((serverId) => !found.has(serverId)) ?? [];
  if (missing.length === 0) return rows;
  const where = selection.labels === undefined ? '' : ' (with these labels)';
  const said = [`No such agent: ${missing.join(', ')}${where}.`, consequence].join(' ').trim();
  throw new TomoError('UNKNOWN_SERVER', `${said} list_agents shows the servers there are.`, {
    facts: { server_ids: missing },
  });
}
