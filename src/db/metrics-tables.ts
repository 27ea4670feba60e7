import { index, integer, primaryKey, real, sqliteTable, text } from 'drizzle-orm/sqlite-core';

/** Measurements of servers, and means of them. */
export const agentMetrics = sqliteTable(
  'agent_metrics',
  {
    agentId: text('agent_id').notNull(),
    /** 0 for a measurement as it came, else the length of time a mean is over. */
    resolutionSeconds: integer('resolution_seconds').notNull(),
    at: integer('at').notNull(),
    cpu: real('cpu').notNull(),
    memoryUsed: integer('memory_used').notNull(),
    memoryTotal: integer('memory_total').notNull(),
    memoryPercent: real('memory_percent').notNull(),
    diskUsed: integer('disk_used').notNull(),
    diskTotal: integer('disk_total').notNull(),
    diskPercent: real('disk_percent').notNull(),
    containersRunning: integer('containers_running').notNull(),
    containersStopped: integer('containers_stopped').notNull(),
    /** From here on null where the agent does not say. */
    load: real('load'),
    swapUsed: integer('swap_used'),
    swapTotal: integer('swap_total'),
    /** Bytes per second. */
    networkRx: real('network_rx'),
    networkTx: real('network_tx'),
    diskRead: real('disk_read'),
    diskWrite: real('disk_write'),
    /** Of the hottest sensor, in degrees Celsius. */
    temperature: real('temperature'),
  },
  (table) => [
    primaryKey({ columns: [table.agentId, table.resolutionSeconds, table.at] }),
    index('idx_agent_metrics_resolution_seconds_at').on(table.resolutionSeconds, table.at),
  ],
);

/** As agent_metrics, of the containers that run on the agent's server. */
export const agentContainerMetrics = sqliteTable(
  'agent_container_metrics',
  {
    agentId: text('agent_id').notNull(),
    /** Its name, which a container that replaces it takes over. */
    container: text('container').notNull(),
    resolutionSeconds: integer('resolution_seconds').notNull(),
    at: integer('at').notNull(),
    /** 100 is one processor. */
    cpu: real('cpu'),
    memoryUsed: integer('memory_used').notNull(),
    memoryLimit: integer('memory_limit').notNull(),
    /** Bytes per second. */
    networkRx: real('network_rx'),
    networkTx: real('network_tx'),
    diskRead: real('disk_read'),
    diskWrite: real('disk_write'),
  },
  (table) => [
    primaryKey({
      columns: [table.agentId, table.container, table.resolutionSeconds, table.at],
    }),
    index('idx_agent_container_metrics_resolution_seconds_at').on(
      table.resolutionSeconds,
      table.at,
    ),
  ],
);
