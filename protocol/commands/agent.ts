import { z } from 'zod';
import { accessSchema } from '../access.ts';
import { agentConfigSchema } from '../handshake.ts';
import { fingerprintSchema, hubUrlSchema } from '../hub-address.ts';
import { logCollectionSchema } from '../log-collection.ts';
import { defineCommand } from './define-command.ts';
import { noParams, statusResult } from './fields.ts';

/** The agent itself. */
export const agentCommands = {
  'agent.ping': defineCommand({
    summary: 'Ask the agent for a sign of life.',
    params: noParams,
    result: z.looseObject({
      status: z.string(),
      version: z.string(),
      agent_id: z.string().nullable(),
    }),
    access: 'read',
    timeoutMs: 10_000,
  }),
  'agent.restart': defineCommand({
    summary: 'Restart the agent; its running commands end.',
    params: noParams,
    result: statusResult,
    access: 'operate',
    timeoutMs: 10_000,
  }),
  'agent.rotate_token': defineCommand({
    summary: 'Keep a new token beside the one in force; call rotate_agent_token instead.',
    params: z.strictObject({ token: z.string().min(32).max(256) }),
    result: statusResult,
    access: 'admin',
    beyondCeiling: true,
    hubOnly: true,
    timeoutMs: 10_000,
    secrets: ['token'],
  }),
  'agent.uninstall': defineCommand({
    summary:
      'Let a helper remove the agent’s container and data volume; call uninstall_agent instead.',
    params: noParams,
    result: z.looseObject({
      status: z.string(),
      container: z.string(),
      volume: z.string().nullable(),
    }),
    access: 'admin',
    beyondCeiling: true,
    destructive: true,
    timeoutMs: 60_000,
  }),
};

const { metrics_interval, health_interval, reconnect_timeout } = agentConfigSchema.shape;

/** Settings the hub sends; people change them with `configure_agents`, which also keeps them. */
export const configCommands = {
  'config.update': defineCommand({
    summary:
      'Give the agent intervals (seconds), the containers whose logs it collects (both until it reconnects), a lower access or another address of the hub for good; call configure_agents instead.',
    params: z.strictObject({
      metrics_interval: metrics_interval.unwrap().optional(),
      health_interval: health_interval.unwrap().optional(),
      reconnect_timeout: reconnect_timeout.unwrap().optional(),
      access: accessSchema
        .optional()
        .describe('A lower ceiling, for good; a higher one is refused.'),
      log_collection: logCollectionSchema
        .optional()
        .describe('Containers whose logs it pushes: "off", "all" or {"label": "NAME[=VALUE]"}.'),
      server_url: hubUrlSchema
        .optional()
        .describe('Dial the hub there from now on, if it answers there.'),
      server_fingerprint: fingerprintSchema
        .nullable()
        .optional()
        .describe(
          'With server_url: the certificate to expect there; null: any that CAs vouch for.',
        ),
    }),
    result: statusResult,
    access: 'operate',
    beyondCeiling: true,
    paramAccess: {
      access: 'admin',
      log_collection: 'admin',
      server_url: 'admin',
      server_fingerprint: 'admin',
    },
    timeoutMs: 10_000,
    idempotent: true,
  }),
};
