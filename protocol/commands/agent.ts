import { z } from 'zod';
import { agentConfigSchema } from '../handshake.ts';
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
    summary: 'Give the agent new intervals, in seconds, until it reconnects.',
    params: z.strictObject({
      metrics_interval: metrics_interval.unwrap().optional(),
      health_interval: health_interval.unwrap().optional(),
      reconnect_timeout: reconnect_timeout.unwrap().optional(),
    }),
    result: statusResult,
    access: 'operate',
    beyondCeiling: true,
    timeoutMs: 10_000,
    idempotent: true,
  }),
};
