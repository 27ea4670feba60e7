import { z } from 'zod';
import { defineCommand } from './define-command.ts';
import { logsParams, statsParams } from './docker-live-params.ts';
import {
  commandLine,
  containerParam,
  environmentParam,
  imageParam,
  networkParam,
  objectName,
  revealEnvironmentParam,
  secondsParam,
  statusResult,
} from './fields.ts';

const container = z.strictObject({ container: containerParam });

const hostPort = z.union([
  z.number().int().min(0).max(65_535),
  z.string().regex(/^(?:[0-9a-fA-F.:[\]]+:)?\d{1,5}$/, 'a port, or "address:port"'),
]);

const healthcheck = z.strictObject({
  test: commandLine.describe('A shell command, or ["CMD", ...], ["CMD-SHELL", ...], ["NONE"].'),
  interval_seconds: z.number().positive().optional(),
  timeout_seconds: z.number().positive().optional(),
  start_period_seconds: z.number().nonnegative().optional(),
  retries: z.number().int().positive().optional(),
});

const runParams = z.strictObject({
  image: imageParam,
  name: objectName.describe('Name of the new container.'),
  ports: z
    .record(
      z.string().regex(/^\d{1,5}(?:\/(?:tcp|udp|sctp))?$/, 'a port such as "80" or "53/udp"'),
      z.union([hostPort, z.array(hostPort)]),
    )
    .optional()
    .describe('Container port to host port(s): {"80/tcp": 8080}, {"80": "127.0.0.1:8080"}.'),
  env: environmentParam.optional(),
  volumes: z
    .record(
      z.string().min(1),
      z.strictObject({ bind: z.string().min(1), mode: z.string().optional() }),
    )
    .optional()
    .describe('Host path or volume name to {bind: path in the container, mode: "rw" | "ro"}.'),
  network: networkParam.optional(),
  restart_policy: z
    .strictObject({
      Name: z.enum(['no', 'always', 'on-failure', 'unless-stopped']),
      MaximumRetryCount: z.number().int().nonnegative().optional(),
    })
    .optional()
    .describe('Default {"Name": "unless-stopped"}, or "no" with auto_remove.'),
  command: commandLine
    .optional()
    .describe('Program and arguments; one string is split into words, and no shell is involved.'),
  entrypoint: commandLine.optional().describe('As command; replaces the entrypoint of the image.'),
  labels: z.record(z.string(), z.string()).optional(),
  user: z.string().optional(),
  workdir: z.string().optional(),
  memory: z
    .union([z.number().int().positive(), z.string().regex(/^\d+[bkmg]?$/i, 'bytes, or "512m"')])
    .optional()
    .describe('Memory limit: bytes, or a number with b, k, m or g.'),
  cpus: z.number().positive().optional().describe('Limit in processors: 1.5'),
  auto_remove: z.boolean().optional(),
  cap_add: z.array(z.string()).optional(),
  cap_drop: z.array(z.string()).optional(),
  devices: z.array(z.string()).optional().describe('"/dev/x" or "/dev/x:/dev/y:rwm".'),
  extra_hosts: z.array(z.string()).optional().describe('"name:address".'),
  healthcheck: healthcheck.optional(),
});

/** Containers: names, fields and defaults of the first deployment, and what users ask for beyond. */
export const dockerContainerCommands = {
  'docker.containers.list': defineCommand({
    summary: 'List containers: running ones, or all with all: true.',
    params: z.strictObject({ all: z.boolean().default(false) }),
    result: z.array(
      z.looseObject({
        id: z.string(),
        name: z.string(),
        image: z.string(),
        status: z.string(),
        created: z.string().nullable(),
      }),
    ),
    access: 'read',
  }),
  'docker.containers.run': defineCommand({
    summary: 'Create and start a container, pulling its image if the server does not have it.',
    params: runParams,
    result: z.looseObject({ id: z.string(), name: z.string() }),
    access: 'admin',
    timeoutMs: 300_000,
    secrets: ['env'],
  }),
  'docker.containers.start': defineCommand({
    summary: 'Start a stopped container.',
    params: container,
    result: statusResult,
    access: 'operate',
    idempotent: true,
  }),
  'docker.containers.stop': defineCommand({
    summary: 'Stop a container; it is killed if it has not ended after timeout seconds.',
    params: container.extend({ timeout: z.number().int().min(0).max(3_600).default(10) }),
    result: statusResult,
    access: 'operate',
    timeoutParam: { name: 'timeout', kind: 'grace' },
    idempotent: true,
  }),
  'docker.containers.restart': defineCommand({
    summary: 'Stop a container and start it again.',
    params: container.extend({ timeout: z.number().int().min(0).max(3_600).optional() }),
    result: statusResult,
    access: 'operate',
    timeoutMs: 60_000,
    timeoutParam: { name: 'timeout', kind: 'grace' },
  }),
  'docker.containers.remove': defineCommand({
    summary: 'Remove a stopped container, or a running one with force: true.',
    params: container.extend({
      force: z.boolean().default(false),
      volumes: z.boolean().optional().describe('Also remove its anonymous volumes.'),
    }),
    result: statusResult,
    access: 'admin',
    destructive: true,
  }),
  'docker.containers.logs': defineCommand({
    summary: 'Read the last lines of a container’s log, or follow it.',
    params: logsParams,
    result: z.looseObject({
      logs: z.string().optional().describe('Left out with follow.'),
      truncated: z.boolean().optional().describe('Older lines were left out to fit one answer.'),
      lines: z.number().int().optional().describe('With follow: lines passed on.'),
      bytes: z.number().int().optional(),
      ended: z.enum(['container_removed', 'until', 'timeout']).optional(),
      gaps: z
        .number()
        .int()
        .optional()
        .describe('How often the engine had removed lines before they were read.'),
    }),
    access: 'read',
    streams: 'lossless',
    timeoutParam: { name: 'timeout', kind: 'limit', onlyWith: 'follow' },
  }),
  'docker.containers.inspect': defineCommand({
    summary: 'Everything the engine knows of a container; values of its environment as ***.',
    params: container.extend({ reveal_env: revealEnvironmentParam }),
    result: z.looseObject({}),
    access: 'read',
    paramAccess: { reveal_env: 'admin' },
    environments: ['Config.Env'],
  }),
  'docker.containers.stats': defineCommand({
    summary: 'A container’s processor, memory, network and disk use: one sample, or one a second.',
    params: statsParams,
    result: z.looseObject({
      cpu_percent: z.number().describe('100 is one processor.'),
      memory_usage: z.number().describe('Bytes, page cache left out, as docker stats counts.'),
      memory_limit: z.number(),
      network_rx: z.number().describe('Bytes since the container started.'),
      network_tx: z.number(),
      samples: z.number().int().optional().describe('With stream: how many; this is the last.'),
      ended: z.enum(['container_removed', 'timeout']).optional(),
      block_read: z.number().describe('Bytes since the container started.'),
      block_write: z.number(),
    }),
    access: 'read',
    streams: 'newest',
    timeoutParam: { name: 'timeout', kind: 'limit', onlyWith: 'stream' },
  }),
  'docker.containers.exec': defineCommand({
    summary: 'Run a command inside a running container.',
    params: container.extend({
      command: commandLine.describe('One string for sh -c, or program and arguments.'),
      user: z.string().optional(),
      workdir: z.string().optional(),
      env: environmentParam.optional(),
      timeout: secondsParam(60),
    }),
    result: z.looseObject({
      stdout: z.string(),
      stderr: z.string(),
      exit_code: z.number().int().describe('-1 if it was stopped at its time limit.'),
      timed_out: z.boolean(),
      truncated: z.boolean(),
    }),
    access: 'admin',
    streams: 'newest',
    destructive: true,
    timeoutMs: 60_000,
    timeoutParam: { name: 'timeout', kind: 'limit' },
    secrets: ['env'],
  }),
  'docker.containers.kill': defineCommand({
    summary: 'Send a signal to a container’s main process.',
    params: container.extend({
      signal: z
        .string()
        .regex(/^(?:SIG)?[A-Z0-9+-]{1,16}$/, 'a signal such as "SIGHUP" or "9"')
        .default('SIGKILL'),
    }),
    result: statusResult,
    access: 'operate',
  }),
  'docker.containers.pause': defineCommand({
    summary: 'Freeze all processes of a container.',
    params: container,
    result: statusResult,
    access: 'operate',
  }),
  'docker.containers.unpause': defineCommand({
    summary: 'Let a paused container go on.',
    params: container,
    result: statusResult,
    access: 'operate',
  }),
  'docker.containers.rename': defineCommand({
    summary: 'Give a container another name.',
    params: container.extend({ name: objectName.describe('The new name.') }),
    result: z.looseObject({ status: z.string(), name: z.string() }),
    access: 'admin',
  }),
  'docker.containers.top': defineCommand({
    summary: 'The processes that run in a container.',
    params: container.extend({
      ps_args: z.string().max(128).optional().describe('As for ps; default -ef.'),
    }),
    result: z.looseObject({ titles: z.array(z.string()), processes: z.array(z.array(z.string())) }),
    access: 'read',
  }),
  'docker.containers.diff': defineCommand({
    summary: 'Which files a container changed against its image.',
    params: container,
    result: z.looseObject({
      changes: z.array(
        z.object({ path: z.string(), kind: z.enum(['modified', 'added', 'deleted']) }),
      ),
    }),
    access: 'read',
  }),
};
