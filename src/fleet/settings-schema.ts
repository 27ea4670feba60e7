import { z } from 'zod';
import { accessSchema } from '../../protocol/access.ts';
import { agentConfigSchema } from '../../protocol/handshake.ts';
import { fingerprintSchema } from '../../protocol/hub-address.ts';
import { LOG_KEEP_DEFAULT_MIB, LOG_KEEP_MAX_MIB } from '../../protocol/limits.ts';
import { logCollectionSchema } from '../../protocol/log-collection.ts';

const { metrics_interval, health_interval, reconnect_timeout } = agentConfigSchema.shape;

/** Seconds unless the name says otherwise. What may be set for whom is checked by the operation. */
export const settingsSchema = z.strictObject({
  metrics_interval: metrics_interval.unwrap().optional(),
  health_interval: health_interval.unwrap().optional(),
  reconnect_timeout: reconnect_timeout.unwrap().optional(),
  log_collection: logCollectionSchema
    .optional()
    .describe(
      'Containers whose logs are kept for search_logs, from now on: "off" (the default), "all", or {"label": "NAME[=VALUE]"}.',
    ),
  log_keep_mib: z
    .number()
    .int()
    .min(1)
    .max(LOG_KEEP_MAX_MIB)
    .optional()
    .describe(`MiB of logs kept of each agent (default ${LOG_KEEP_DEFAULT_MIB}); the oldest go.`),
  access: accessSchema
    .optional()
    .describe('Lower the most these agents may do; raised only by a new install_agent.'),
  server_url: z
    .url({ protocol: /^(?:https?|wss?)$/, error: 'an http(s) base URL, or a whole ws(s) URL' })
    .refine((url) => !/[?#@]/.test(url), 'a URL without user, query or fragment')
    .nullable()
    .optional()
    .describe('Agents move to this address of the hub if it answers there; null: no longer.'),
  server_fingerprint: fingerprintSchema
    .nullable()
    .optional()
    .describe('With server_url: SHA-256 of the certificate there, if no CA vouches for it.'),
  accept_machine: z
    .string()
    .min(1)
    .max(255)
    .optional()
    .describe(
      'machine_id or engine_id of a machine that was refused: it is the agent’s from now on.',
    ),
  token_rotation_days: z
    .number()
    .int()
    .min(0)
    .max(365)
    .optional()
    .describe('For all agents: a new token every so many days; 0: never.'),
  token_grace_minutes: z
    .number()
    .int()
    .min(1)
    .max(1_440)
    .optional()
    .describe('For all agents: how long a replaced token is good beside the new one.'),
  code_ttl_minutes: z
    .number()
    .int()
    .min(1)
    .max(60)
    .optional()
    .describe('For all agents: how long a registration code is valid.'),
});
