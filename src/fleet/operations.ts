import { z } from 'zod';
import { accessSchema } from '../../protocol/access.ts';
import { agentConfigSchema, hostSchema } from '../../protocol/handshake.ts';
import { logCollectionSchema } from '../../protocol/log-collection.ts';
import { healthSchema, metricsSchema } from '../../protocol/telemetry.ts';
import { deploySchema } from '../provisioning/deploy-target.ts';
import { cancelArgs, commandArgs, commandResult, getArgs } from './command-schema.ts';
import { eventsArgs, eventsResult } from './events-schema.ts';
import { historyArgs, historyResult } from './history-schema.ts';
import { changesArgs, changesResult, searchLogsArgs, searchLogsResult } from './logs-schema.ts';
import { metricsArgs, metricsResult } from './metrics-schema.ts';
import { runArgs, runResult } from './run-schema.ts';
import { isoTime, labelsSchema, PAGE_MAX_COUNT, serverIdSchema } from './schema-fields.ts';
import { settingsSchema } from './settings-schema.ts';

/**
 * What can be done with agents: arguments and results of every operation of `Fleet`. The tools take
 * their schemas from here, and so does the relay between processes.
 */

export const AGENT_STATUSES = [
  'pending',
  'connected',
  'disconnected',
  'updating',
  'revoked',
] as const;
const PAGE_DEFAULT_COUNT = 100;

const statusSchema = z.enum(AGENT_STATUSES);

const agentSummary = z.object({
  server_id: z.string(),
  agent_id: z.string(),
  status: statusSchema,
  version: z.string().nullable(),
  last_seen: isoTime.nullable(),
  access: accessSchema,
  labels: z.record(z.string(), z.string()),
});

const installArgs = z.strictObject({
  server_id: serverIdSchema,
  access: accessSchema
    .optional()
    .describe(
      'The most the agent may ever do: read < operate (start, stop, pull) < admin. Default: as it was, admin for a new one.',
    ),
  labels: labelsSchema.optional().describe('Replaces the server’s labels: {"role": "web"}.'),
  deploy: deploySchema
    .optional()
    .describe('Put the agent there now: {"kind":"ssh","host":"root@web-1"} or {"kind":"docker"}.'),
  replace: z
    .boolean()
    .default(false)
    .describe('Replace the agent that is there, connected or not, by a new container.'),
  wait_seconds: z
    .number()
    .min(1)
    .max(600)
    .default(45)
    .describe('With deploy: how long the new agent may take to connect.'),
});

const installResult = z.object({
  agent_id: z.string(),
  registration_code: z.string(),
  expires_at: isoTime,
  deploy_command: z.string(),
  compose_yaml: z.string(),
  grants: z.array(z.string()).describe('What the container is granted, and what for.'),
  removed: z.array(z.string()).describe('Containers and volumes of the agent that was replaced.'),
  status: statusSchema,
  warnings: z.array(z.string()),
});

/** Other processes that came with this agent's token; counted since Tomo started. */
const duplicatesSchema = z.object({
  refused: z.number().int().describe('Connections from other machines, which were refused.'),
  taking_turns: z
    .number()
    .int()
    .describe('How often two processes on what looks like one machine replaced each other.'),
  addresses: z.array(z.string()).describe('Where they came from; the newest last.'),
  last_at: isoTime.nullable(),
  last_host: hostSchema.nullable().describe('What the machine refused last says of itself.'),
  next_step: z.string().nullable().describe('What to do; null if there are none.'),
});

const statusResult = agentSummary.extend({
  registered_at: isoTime.nullable(),
  connected_at: isoTime.nullable(),
  address: z.string().nullable().describe('Where its socket comes from.'),
  latency_ms: z.number().nullable().describe('Of a ping made for this answer.'),
  host: hostSchema.nullable(),
  capabilities: z.array(z.string()).nullable().describe('Its methods; null if it does not say.'),
  config: agentConfigSchema,
  metrics: metricsSchema.nullable(),
  metrics_at: isoTime.nullable(),
  health: healthSchema.nullable(),
  token: z.object({
    issued_at: isoTime.nullable(),
    rotation: z
      .enum(['none', 'offered', 'stored'])
      .describe('offered: the agent was sent a new token; stored: it has said that it keeps it.'),
    grace_ends_at: isoTime.nullable().describe('Until then the older token is good as well.'),
  }),
  duplicates: duplicatesSchema,
  move: z
    .object({
      server_url: z.string(),
      failed_at: isoTime.nullable(),
      cause: z.string().nullable().describe('Why it is not there yet, if it has tried.'),
    })
    .nullable()
    .describe('The address it is told to dial instead of its present one.'),
});

const listArgs = z.strictObject({
  status: statusSchema.optional(),
  labels: labelsSchema.optional().describe('Only agents whose server has all of these.'),
  cursor: z.string().max(128).optional().describe('next_cursor of the page before.'),
  limit: z.number().int().min(1).max(PAGE_MAX_COUNT).default(PAGE_DEFAULT_COUNT),
});

const configureArgs = z.strictObject({
  server_ids: z.array(serverIdSchema).min(1).max(PAGE_MAX_COUNT).optional(),
  labels: labelsSchema.optional().describe('Agents whose server has all of these.'),
  settings: settingsSchema.refine((settings) => Object.keys(settings).length > 0, {
    message: `name at least one of ${Object.keys(settingsSchema.shape).join(', ')}`,
  }),
});

const configureResult = z.object({
  scope: z.enum(['fleet', 'selected']).describe('fleet: the default of every agent changed.'),
  agents: z.array(
    z.object({
      server_id: z.string(),
      config: agentConfigSchema,
      log_collection: logCollectionSchema,
      log_keep_mib: z.number(),
      access: accessSchema,
      server_url: z.string().nullable().describe('Where it is told to move; null: nowhere.'),
      applied: z.boolean().describe('Whether all of it holds for this agent now.'),
      note: z.string().optional().describe('Why not, and what becomes of it.'),
    }),
  ),
  fleet: z
    .object({
      token_rotation_days: z.number(),
      token_grace_minutes: z.number(),
      code_ttl_minutes: z.number(),
    })
    .describe('What holds for all agents.'),
});

const uninstallArgs = z.strictObject({
  server_id: serverIdSchema,
  forget: z
    .boolean()
    .default(false)
    .describe('Also remove the server with its metrics and events from Tomo; the audit stays.'),
});

const uninstallResult = z.object({
  success: z.boolean(),
  agent_id: z.string(),
  was_connected: z.boolean(),
  removed: z
    .array(z.string())
    .describe('What the helper on the server was told to remove; it takes some seconds.'),
  left_behind: z
    .array(z.string())
    .describe('What may still be on the server, and how it is removed by hand; empty if nothing.'),
  forgotten: z.boolean(),
});

const rotateResult = z.object({
  agent_id: z.string(),
  status: z.literal('stored').describe('The agent keeps the new token.'),
  grace_ends_at: isoTime.describe('Until then, or until the new token is used, both are good.'),
});

/** The rules under which a data directory is served; whoever takes over keeps them. */
const servingSchema = z.object({
  host: z.string(),
  port: z.number().int(),
  tlsCert: z.string().optional(),
  tlsKey: z.string().optional(),
  /** With a certificate that Tomo makes and keeps in the data directory. */
  tlsSelfSigned: z.boolean(),
  publicUrl: z.string().optional(),
  /** Addresses and networks whose X-Forwarded-For is believed. */
  trustedProxies: z.array(z.string()),
  readOnly: z.boolean(),
  /** SHA-256 (hex) of the MCP bearer token. */
  tokenHash: z.string(),
});
export type Serving = z.output<typeof servingSchema>;

const ownerResult = z.object({
  pid: z.number().int(),
  /** Whether it serves on purpose, or only because a client started it over stdio. */
  kind: z.enum(['server', 'stdio']),
  url: z.string().describe('Where this data directory’s hub and MCP endpoint listen.'),
  serving: servingSchema,
  fingerprint: z
    .string()
    .optional()
    .describe('SHA-256 of the certificate that is served, if there is TLS.'),
});
export type OwnerInfo = z.output<typeof ownerResult>;

/** `retry`: an operation that changes nothing, and may be asked again of the next owner. */
export const OPERATIONS = {
  install_agent: { args: installArgs, result: installResult, retry: false },
  get_agent_status: {
    args: z.strictObject({ server_id: serverIdSchema }),
    result: statusResult,
    retry: true,
  },
  list_agents: {
    args: listArgs,
    result: z.object({ agents: z.array(agentSummary), next_cursor: z.string().optional() }),
    retry: true,
  },
  revoke_agent: {
    args: z.strictObject({ server_id: serverIdSchema }),
    result: z.object({ success: z.boolean(), agent_id: z.string(), was_connected: z.boolean() }),
    retry: false,
  },
  uninstall_agent: { args: uninstallArgs, result: uninstallResult, retry: false },
  send_agent_command: { args: commandArgs, result: commandResult, retry: false },
  get_command: { args: getArgs, result: commandResult, retry: true },
  cancel_command: { args: cancelArgs, result: commandResult, retry: false },
  run_on_agents: { args: runArgs, result: runResult, retry: false },
  configure_agents: { args: configureArgs, result: configureResult, retry: false },
  rotate_agent_token: {
    args: z.strictObject({ server_id: serverIdSchema }),
    result: rotateResult,
    retry: false,
  },
  get_command_history: { args: historyArgs, result: historyResult, retry: true },
  get_agent_events: { args: eventsArgs, result: eventsResult, retry: true },
  search_logs: { args: searchLogsArgs, result: searchLogsResult, retry: true },
  wait_for_changes: { args: changesArgs, result: changesResult, retry: true },
  get_agent_metrics: { args: metricsArgs, result: metricsResult, retry: true },
  describe_owner: { args: z.strictObject({}), result: ownerResult, retry: true },
  hand_over: { args: z.strictObject({}), result: z.object({}), retry: false },
};

export type OperationName = keyof typeof OPERATIONS;
export type ArgsOf<N extends OperationName> = z.output<(typeof OPERATIONS)[N]['args']>;
export type OperationResult<N extends OperationName> = z.output<(typeof OPERATIONS)[N]['result']>;

export type AgentSummary = z.output<typeof agentSummary>;

export function isOperation(name: string): name is OperationName {
  return Object.hasOwn(OPERATIONS, name);
}

/** Arguments of an operation that came from outside. Throws a ZodError. */
export function parseArgs<N extends OperationName>(name: N, args: unknown): ArgsOf<N> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the table's own schema parsed it; TypeScript does not follow N through the table
  return OPERATIONS[name].args.parse(args) as ArgsOf<N>;
}
