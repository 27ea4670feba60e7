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
  'system.processes': defineCommand({
    summary: 'The server’s processes, those that use most first; names only, unless full: true.',
    params: z.strictObject({
      sort: z.enum(['cpu', 'memory', 'pid']).default('cpu'),
      limit: z.number().int().min(1).max(1_000).default(50),
      filter: z
        .string()
        .min(1)
        .max(256)
        .optional()
        .describe(
          'Part of the name or the program, and with full of the command line; case does not matter.',
        ),
      tree: z.boolean().default(false).describe('Each below its parent, with its depth.'),
      full: z
        .boolean()
        .default(false)
        .describe('Command lines, which may hold secrets; needs admin.'),
    }),
    result: z.looseObject({
      scope: z.enum(['host', 'container']).describe('Whose processes the agent can see.'),
      total: z.number().int(),
      matching: z.number().int(),
      processes: z.array(
        z.looseObject({
          pid: z.number().int(),
          ppid: z.number().int(),
          user: z.string(),
          name: z.string().describe('At most 15 characters, as the kernel keeps it.'),
          program: z
            .string()
            .optional()
            .describe('The file it runs, without its folder, where the name is another.'),
          state: z.string(),
          cpu_percent: z.number().describe('Over half a second; 100 is one processor.'),
          rss: z.number().describe('Bytes.'),
          started: z.string(),
          depth: z.number().int().optional(),
          command_line: z.string().optional(),
        }),
      ),
    }),
    access: 'read',
    paramAccess: { full: 'admin' },
  }),
  'system.services': defineCommand({
    summary: 'The server’s systemd services: state, since when, failures first.',
    params: z.strictObject({
      name: z
        .string()
        .max(255)
        .regex(/^[A-Za-z0-9@*?][A-Za-z0-9:_.@*?\\-]*$/, 'a service’s name, with * and ? for any')
        .optional()
        .describe('"nginx", or a pattern such as "ssh*".'),
      state: z
        .enum(['active', 'inactive', 'failed', 'activating', 'deactivating', 'reloading'])
        .optional(),
      limit: z.number().int().min(1).max(1_000).default(200),
    }),
    result: z.looseObject({
      scope: execScopeSchema,
      init: z.string().describe('What runs the server’s services.'),
      known: z.boolean().describe('Whether services are known: only of systemd.'),
      total: z.number().int(),
      failed: z.array(z.string()),
      services: z.array(
        z.looseObject({
          name: z.string(),
          description: z.string(),
          state: z.string(),
          sub_state: z.string(),
          enabled: z.string(),
          since: z.string().nullable(),
        }),
      ),
      note: z.string().optional(),
    }),
    access: 'read',
  }),
  'system.get_metrics': defineCommand({
    summary:
      'Processors, load, memory, swap, disks, network, temperatures and containers of this moment.',
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
