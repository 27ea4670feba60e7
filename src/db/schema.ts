import { sql } from 'drizzle-orm';
import {
  index,
  integer,
  primaryKey,
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
    // Without what agents report, which is called agent.*: the hub's own are few among them.
    index('idx_agent_events_own')
      .on(table.agentId, table.type, table.at)
      .where(sql`${table.type} < 'agent.' OR ${table.type} >= 'agent/'`),
    uniqueIndex('idx_agent_events_seq')
      .on(table.agentId, table.instanceId, table.seq)
      .where(sql`${table.seq} IS NOT NULL`),
  ],
);
