import { z } from 'zod';
import { metricsSchema } from '../telemetry.ts';
import { defineCommand } from './define-command.ts';
import { environmentParam, noParams, secondsParam } from './fields.ts';

/** Where `system.exec` runs: on the server itself, in a view of its files, or in the agent's container. */
export const execScopeSchema = z.enum(['host', 'chroot', 'container']);
export type ExecScope = z.infer<typeof execScopeSchema>;

/** The server. */
export const systemCommands = {
  'system.info': defineCommand({
    summary: 'What the server is: operating system, kernel, hardware, Docker, the agent’s rights.',
    params: noParams,
    result: z.looseObject({
      os: z.string(),
      kernel: z.string(),
      arch: z.string(),
      hostname: z.string(),
      docker_version: z
        .string()
        .describe('"unknown" if no engine answers; then docker.error says why.'),
    }),
    access: 'read',
  }),
  'system.exec': defineCommand({
    summary: 'Run a shell command on the server and wait for its output.',
    params: z.strictObject({
      command: z.string().min(1).max(131_072).describe('For sh -c.'),
      timeout: secondsParam(60).describe('Seconds; then the whole process tree is killed.'),
      cwd: z.string().min(1).optional().describe('Working directory; default /.'),
      env: environmentParam.optional(),
    }),
    result: z.looseObject({
      stdout: z.string(),
      stderr: z.string(),
      exit_code: z.number().int().describe('-1 if it was killed at its time limit.'),
    }),
    access: 'admin',
    streams: 'newest',
    destructive: true,
    timeoutMs: 60_000,
    timeoutParam: { name: 'timeout', kind: 'limit' },
    secrets: ['env'],
  }),
  'system.preflight': defineCommand({
    summary:
      'Check what the agent and its user will need: engine, disk, memory, ports, names, clock, hub, rights.',
    params: z.strictObject({
      ports: z
        .array(z.number().int().min(1).max(65_535))
        .max(64)
        .optional()
        .describe('Ports that should be free on the server.'),
      hosts: z
        .array(z.string().min(1).max(253))
        .max(16)
        .optional()
        .describe('Names that should resolve.'),
    }),
    result: z.looseObject({
      ok: z.boolean().describe('Whether every check passed.'),
      checks: z.array(
        z.looseObject({
          name: z
            .string()
            .describe('engine, disk, memory, port 80, dns NAME, clock, hub, host_shell, ...'),
          ok: z.boolean(),
          detail: z.string(),
          next_step: z.string().optional(),
        }),
      ),
    }),
    access: 'read',
  }),
  'system.get_metrics': defineCommand({
    summary: 'Processor, memory, disk and container counts of this moment.',
    params: noParams,
    result: metricsSchema,
    access: 'read',
  }),
};

/** The first deployment's second name for the same. */
export const metricsCommands = {
  'metrics.get': defineCommand({
    summary: 'The same as system.get_metrics.',
    params: noParams,
    result: metricsSchema,
    access: 'read',
  }),
};
