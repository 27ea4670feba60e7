import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core';

/** Log lines of containers as agents push them, many to a row: they are read newest first, and go oldest first. */
export const logBatches = sqliteTable(
  'log_batches',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    agentId: text('agent_id').notNull(),
    serverId: text('server_id').notNull(),
    /** The earliest and the latest of its lines. */
    firstAt: integer('first_at').notNull(),
    lastAt: integer('last_at').notNull(),
    bytes: integer('bytes').notNull(),
    containers: text('containers').notNull(),
    lines: text('lines').notNull(),
  },
  (table) => [
    index('idx_log_batches_agent_id_bytes').on(table.agentId, table.id, table.bytes),
    // They hold all that the order and the times of a search ask for: rows that do not fit are not read.
    index('idx_log_batches_last_at').on(table.lastAt, table.id, table.agentId, table.firstAt),
    index('idx_log_batches_agent_id_last_at').on(
      table.agentId,
      table.lastAt,
      table.id,
      table.firstAt,
    ),
  ],
);

/** The last line stored of each output of each container, by which lines that come again are known. */
export const logPositions = sqliteTable(
  'log_positions',
  {
    agentId: text('agent_id').notNull(),
    containerId: text('container_id').notNull(),
    stream: text('stream', { enum: ['stdout', 'stderr'] }).notNull(),
    /** The agent's process that brought it. */
    epoch: text('epoch').notNull(),
    /** Nanoseconds since the epoch as text, and how many lines of that time came before. */
    at: text('at').notNull(),
    n: integer('n').notNull(),
    storedAt: integer('stored_at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.agentId, table.containerId, table.stream] }),
    index('idx_log_positions_agent_id_stored_at').on(table.agentId, table.storedAt),
  ],
);

/** The last batch of log lines stored of each agent. */
export const logEpochs = sqliteTable('log_epochs', {
  agentId: text('agent_id').primaryKey(),
  epoch: text('epoch').notNull(),
  batch: integer('batch').notNull(),
});
