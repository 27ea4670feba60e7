import { eq } from 'drizzle-orm';
import type { Connection } from './connection.ts';
import { inSteps } from './in-steps.ts';
import { agents, servers } from './schema.ts';

/** What there can be much of. */
const TABLES = ['agent_container_metrics', 'agent_metrics', 'agent_events'] as const;
/** How many rows are deleted at once. */
const DELETE_MAX_ROWS = 500;

/**
 * Removes a server with its agent, codes, metrics and events; the audit stays. What is much goes before
 * in short transactions: of what a fault interrupts the server is left, and can be removed again. False
 * if there is no such server.
 */
export async function removeServer(connection: Connection, serverId: string): Promise<boolean> {
  const { client, orm } = connection;
  const { agent, deletions } = await connection.run(() => ({
    agent: orm.select({ id: agents.id }).from(agents).where(eq(agents.serverId, serverId)).get(),
    deletions: TABLES.map((table) =>
      client.prepare<[string]>(
        `DELETE FROM ${table} WHERE rowid IN (
          SELECT rowid FROM ${table} WHERE agent_id = ? LIMIT ${DELETE_MAX_ROWS}
        )`,
      ),
    ),
  }));
  const deleteSome = (): boolean =>
    agent !== undefined && deletions.some((deletion) => deletion.run(agent.id).changes > 0);
  await inSteps(connection, undefined, deleteSome);
  return connection.transaction(() => {
    // What came meanwhile.
    while (deleteSome());
    return orm.delete(servers).where(eq(servers.id, serverId)).run().changes > 0;
  });
}
