import { sql } from 'drizzle-orm';
import {
  index,
  integer,
  primaryKey,
  real,
  sqliteTable,
  text,
  uniqueIndex,
} from 'drizzle-orm/sqlite-core';
import { z } from 'zod';
import { jsonColumn } from './json-column.ts';

// All times are whole milliseconds since the epoch; all hashes are text made by the caller.

export const AGENT_STATUSES = [
  'pending',
  'connected',
  'disconnected',
  'updating',
  'revoked',
] as const;
export const ACCESS = ['read', 'operate', 'admin'] as const;
/** What a code is good for: to be the server's agent, or a second process that is to replace it. */
export const CODE_KINDS = ['install', 'candidate'] as const;
export const COMMAND_STATUSES = [
  'running',
  'succeeded',
  'failed',
  'timed_out',
  'cancelled',
  'detached',
  'lost',
] as const;

const labelsColumn = jsonColumn(z.record(z.string(), z.string()));
const hostColumn = jsonColumn(z.record(z.string(), z.string().optional()));
const namesColumn = jsonColumn(z.array(z.string()));
const objectColumn = jsonColumn(z.record(z.string(), z.unknown()));

export const servers = sqliteTable('servers', {
  id: text('id').primaryKey(),
  labels: labelsColumn('labels').notNull().default(sql`'{}'`),
  createdAt: integer('created_at').notNull(),
});

export const agents = sqliteTable(
  'agents',
  {
    id: text('id').primaryKey(),
    serverId: text('server_id')
      .notNull()
      .unique()
      .references(() => servers.id, { onDelete: 'cascade' }),
    tokenHash: text('token_hash').unique(),
    pendingTokenHash: text('pending_token_hash').unique(),
    revokedTokenHash: text('revoked_token_hash'),
    candidateTokenHash: text('candidate_token_hash').unique(),
    /** The ceiling that the candidate's ticket was issued with. */
    candidateAccess: text('candidate_access', { enum: ACCESS }),
    /** The machine that the candidate's token belongs to. */
    candidateIdentity: hostColumn('candidate_identity'),
    /** When the token in force was given. */
    tokenIssuedAt: integer('token_issued_at'),
    /** Until when the token in force is good beside the pending one. */
    pendingTokenExpiresAt: integer('pending_token_expires_at'),
    /** Whether the agent said that it keeps the pending token. */
    pendingTokenStored: integer('pending_token_stored', { mode: 'boolean' })
      .notNull()
      .default(false),
    /** The machine the token belongs to. */
    identity: hostColumn('identity'),
    version: text('version'),
    status: text('status', { enum: AGENT_STATUSES }).notNull().default('pending'),
    access: text('access', { enum: ACCESS }).notNull(),
    reportedAccess: text('reported_access', { enum: ACCESS }),
    protocol: integer('protocol'),
    host: hostColumn('host'),
    capabilities: namesColumn('capabilities'),
    lastSeen: integer('last_seen'),
    registeredAt: integer('registered_at'),
    config: objectColumn('config'),
    createdAt: integer('created_at').notNull(),
    updatedAt: integer('updated_at').notNull(),
  },
  (table) => [
    index('idx_agents_status').on(table.status),
    index('idx_agents_revoked_token_hash').on(table.revokedTokenHash),
  ],
);

export const registrationCodes = sqliteTable(
  'agent_registration_codes',
  {
    id: text('id').primaryKey(),
    agentId: text('agent_id')
      .notNull()
      .references(() => agents.id, { onDelete: 'cascade' }),
    codeHash: text('code_hash').notNull().unique(),
    kind: text('kind', { enum: CODE_KINDS }).notNull().default('install'),
    /** The ceiling it gives; null: as the agent has it. */
    access: text('access', { enum: ACCESS }),
    expiresAt: integer('expires_at').notNull(),
    used: integer('used', { mode: 'boolean' }).notNull().default(false),
    createdAt: integer('created_at').notNull(),
  },
  (table) => [index('idx_agent_registration_codes_agent_id').on(table.agentId)],
);

export const settings = sqliteTable('settings', {
  key: text('key').primaryKey(),
  value: text('value').notNull(),
  category: text('category').notNull().default('general'),
  description: text('description').notNull().default(''),
  updatedAt: integer('updated_at').notNull(),
});

/** The audit. No foreign keys: it outlives the server and the agent it is about. */
export const commands = sqliteTable(
  'commands',
  {
    id: text('id').primaryKey(),
    serverId: text('server_id').notNull(),
    agentId: text('agent_id').notNull(),
    actor: text('actor').notNull(),
    /** Address of the caller, if it came over the network. */
    origin: text('origin'),
    /** The agent's process that was asked, if it says which it is. */
    instanceId: text('instance_id'),
    method: text('method').notNull(),
    params: objectColumn('params').notNull(),
    status: text('status', { enum: COMMAND_STATUSES }).notNull(),
    errorCode: integer('error_code'),
    errorMessage: text('error_message'),
    startedAt: integer('started_at').notNull(),
    durationMs: integer('duration_ms'),
    resultBytes: integer('result_bytes'),
    /** Whether the result was kept when the command ended; it may be gone since. */
    resultKept: integer('result_kept', { mode: 'boolean' }),
  },
  (table) => [
    index('idx_commands_server_id_started_at').on(table.serverId, table.startedAt),
    index('idx_commands_started_at').on(table.startedAt),
    index('idx_commands_status').on(table.status),
  ],
);

/** What commands answered, kept for a while; the row in `commands` stays longer. */
export const commandResults = sqliteTable(
  'command_results',
  {
    /** Grows in the order in which they were kept. */
    id: integer('id').primaryKey({ autoIncrement: true }),
    commandId: text('command_id').notNull(),
    /** Whose they are, for who has most gives way. */
    actor: text('actor').notNull(),
    agentId: text('agent_id').notNull(),
    /** Of the whole text, as result_offset counts: in UTF-16. */
    chars: integer('chars').notNull(),
    /** What it takes, about. */
    bytes: integer('bytes').notNull(),
    keptAt: integer('kept_at').notNull(),
  },
  (table) => [
    uniqueIndex('idx_command_results_command_id').on(table.commandId),
    // With the sizes, so that adding them up reads no rows.
    index('idx_command_results_actor_agent_id').on(
      table.actor,
      table.agentId,
      table.id,
      table.bytes,
    ),
    index('idx_command_results_kept_at').on(table.keptAt),
  ],
);

/** The text of results as it is shown, in pieces: a page of a long one is read without the rest. */
export const commandResultPieces = sqliteTable(
  'command_result_pieces',
  {
    resultId: integer('result_id')
      .notNull()
      .references(() => commandResults.id, { onDelete: 'cascade' }),
    /** How many characters of the text lie before it. */
    at: integer('at').notNull(),
    text: text('text').notNull(),
  },
  (table) => [primaryKey({ columns: [table.resultId, table.at] })],
);

export const agentEvents = sqliteTable(
  'agent_events',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    agentId: text('agent_id').notNull(),
    serverId: text('server_id').notNull(),
    type: text('type').notNull(),
    detail: objectColumn('detail'),
    at: integer('at').notNull(),
    /** The agent's process that numbered it, and its number; null of what nobody sends again. */
    instanceId: text('instance_id'),
    seq: integer('seq'),
  },
  (table) => [
    index('idx_agent_events_agent_id_at').on(table.agentId, table.at),
    index('idx_agent_events_at').on(table.at),
    uniqueIndex('idx_agent_events_seq')
      .on(table.agentId, table.instanceId, table.seq)
      .where(sql`${table.seq} IS NOT NULL`),
  ],
);

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
    index('idx_log_batches_last_at').on(table.lastAt, table.id, table.agentId),
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
