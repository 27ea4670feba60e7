import { z } from 'zod';
import { defineCommand } from './define-command.ts';
import { objectName, revealEnvironmentParam, secondsParam } from './fields.ts';

const PATH_MAX_CHARS = 4_096;

const directory = z
  .string()
  .max(PATH_MAX_CHARS)
  .regex(/^\/[^\0]*$/, 'an absolute path on the server')
  .describe('Directory on the server; everything is as if compose were typed there.');
const composeFile = z
  .string()
  .min(1)
  .max(PATH_MAX_CHARS)
  .regex(/^[^\0]+$/, 'a path');
const project = z
  .string()
  .max(255)
  .regex(/^[a-z0-9_-]+$/, 'a project name: lower case letters, digits, "-" and "_"')
  .describe('Project name; else compose chooses it, as a rule the directory’s name.');
const services = z.array(objectName).min(1).max(256).optional().describe('Default: all.');

const place = z.strictObject({
  project_directory: directory,
  file: z
    .union([composeFile, z.array(composeFile).min(1).max(16)])
    .optional()
    .describe('Compose file, or several, later ones on top; else compose finds it.'),
  project: project.optional(),
});

/** What exists already is found by the labels of its containers, whatever became of the file. */
const existing = { project: project.optional(), project_directory: directory.optional() };
const NAMES_A_PROJECT = 'give project or project_directory; docker.compose.ls shows both';
const namesProject = (given: { project?: unknown; project_directory?: unknown }): boolean =>
  given.project !== undefined || given.project_directory !== undefined;

const containerResult = z.looseObject({
  id: z.string(),
  name: z.string(),
  service: z.string(),
  image: z.string(),
  status: z.string().describe('running, exited, restarting, ...'),
  exit_code: z.number().int().nullable().describe('Of one that has ended.'),
  health: z.string().nullable(),
});

const ran = z.looseObject({
  status: z.string(),
  compose_version: z.string(),
  output: z.string().describe('What compose said, its newest part.'),
  truncated: z.boolean(),
});

/** Compose projects, by the server's own `docker compose` or `docker-compose`. */
export const dockerComposeCommands = {
  'docker.compose.ls': defineCommand({
    summary: 'List the compose projects that have containers, also stopped ones.',
    params: z.strictObject({}),
    result: z.array(
      z.looseObject({
        project: z.string(),
        project_directory: z.string().nullable(),
        config_files: z.array(z.string()),
        services: z.array(z.string()),
        containers: z.record(z.string(), z.number().int()).describe('How many in each state.'),
      }),
    ),
    access: 'read',
  }),
  'docker.compose.ps': defineCommand({
    summary: 'List the containers of a compose project, also stopped ones.',
    params: z
      .strictObject({ ...existing, services })
      .refine(namesProject, { error: NAMES_A_PROJECT }),
    result: z.array(containerResult),
    access: 'read',
  }),
  'docker.compose.logs': defineCommand({
    summary:
      'Read the last log lines of a compose project’s containers, merged by time, or follow them.',
    params: z
      .strictObject({
        ...existing,
        services,
        tail: z.number().int().min(0).max(10_000).default(100).describe('Lines of each container.'),
        timestamps: z.boolean().default(false),
        follow: z
          .boolean()
          .default(false)
          .describe(
            'Go on with new lines as output, of added containers too, until all are removed.',
          ),
        timeout: secondsParam(86_400).describe('With follow: seconds until it ends.'),
      })
      .refine(namesProject, { error: NAMES_A_PROJECT }),
    result: z.looseObject({
      logs: z
        .string()
        .optional()
        .describe('Each line after its container’s name and a bar. Left out with follow.'),
      truncated: z.boolean().optional().describe('Older lines were left out to fit one answer.'),
      lines: z.number().int().optional().describe('With follow: lines passed on.'),
      bytes: z.number().int().optional(),
      ended: z.enum(['containers_removed', 'timeout']).optional(),
      gaps: z
        .number()
        .int()
        .optional()
        .describe('How often the engine had removed lines before they were read.'),
    }),
    access: 'read',
    streams: 'lossless',
    timeoutMs: 60_000,
    timeoutParam: { name: 'timeout', kind: 'limit', onlyWith: 'follow' },
  }),
  'docker.compose.config': defineCommand({
    summary:
      'The compose file as it takes effect; values of its environments as ***, without x- keys.',
    params: place.extend({ reveal_env: revealEnvironmentParam }),
    result: z.looseObject({ compose_version: z.string(), config: z.looseObject({}) }),
    access: 'read',
    timeoutMs: 60_000,
    paramAccess: { reveal_env: 'admin' },
    environments: [
      'config.x-**',
      'config.services.*.environment',
      // Its hooks have some, and are to be found in more places with every generation of compose.
      'config.services.*.**.environment',
      'config.services.*.build.args',
      'config.configs.*.content',
      'config.secrets.*.content',
    ],
  }),
  'docker.compose.pull': defineCommand({
    summary: 'Fetch the images of a compose project; running containers stay as they are.',
    params: place.extend({ services, timeout: secondsParam(1_800) }),
    result: ran,
    access: 'operate',
    streams: 'newest',
    timeoutMs: 1_800_000,
    timeoutParam: { name: 'timeout', kind: 'limit' },
    idempotent: true,
  }),
  'docker.compose.up': defineCommand({
    summary: 'Create and start a compose project, or bring it in line with its file.',
    params: place.extend({
      services,
      build: z.boolean().default(false).describe('Build images first.'),
      pull: z.boolean().default(false).describe('Fetch images first, newer ones too.'),
      wait: z.boolean().default(false).describe('Until all run, and are healthy if they can tell.'),
      remove_orphans: z.boolean().default(false).describe('Also those no longer in the file.'),
      timeout: secondsParam(1_800).describe('Seconds for all of it.'),
    }),
    result: ran.extend({ containers: z.array(containerResult) }),
    access: 'admin',
    streams: 'newest',
    timeoutMs: 1_800_000,
    timeoutParam: { name: 'timeout', kind: 'limit' },
    idempotent: true,
  }),
  'docker.compose.down': defineCommand({
    summary: 'Stop and remove a compose project’s containers and networks.',
    params: place.extend({
      volumes: z.boolean().default(false).describe('Also its named volumes, with their data.'),
      remove_orphans: z.boolean().default(false).describe('Also those no longer in the file.'),
      timeout: secondsParam(300).describe('Seconds for all of it.'),
    }),
    result: ran,
    access: 'admin',
    streams: 'newest',
    timeoutMs: 300_000,
    timeoutParam: { name: 'timeout', kind: 'limit' },
    destructive: true,
    idempotent: true,
  }),
};
