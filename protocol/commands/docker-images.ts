import { z } from 'zod';
import { defineCommand } from './define-command.ts';
import { imageParam, revealEnvironmentParam, statusResult } from './fields.ts';

/** Images. */
export const dockerImageCommands = {
  'docker.images.list': defineCommand({
    summary: 'List the images on the server.',
    params: z.strictObject({}),
    result: z.array(
      z.looseObject({
        id: z.string().describe('"sha256:" and 12 digits.'),
        tags: z.array(z.string()),
        size: z.number().describe('Bytes.'),
        created: z.string().nullable(),
      }),
    ),
    access: 'read',
  }),
  'docker.images.inspect': defineCommand({
    summary: 'Everything the engine knows of an image; values of its environment as ***.',
    params: z.strictObject({ image: imageParam, reveal_env: revealEnvironmentParam }),
    result: z.looseObject({}),
    access: 'read',
    paramAccess: { reveal_env: 'admin' },
    environments: ['Config.Env', 'ContainerConfig.Env'],
  }),
  'docker.images.pull': defineCommand({
    summary: 'Fetch an image from its registry.',
    params: z.strictObject({
      image: imageParam,
      tag: z
        .string()
        .regex(/^[\w][\w.-]{0,127}$/, 'a tag such as "1.27"')
        .default('latest'),
    }),
    result: z.looseObject({ status: z.string(), image: z.string() }),
    access: 'operate',
    timeoutMs: 600_000,
    idempotent: true,
  }),
  'docker.images.remove': defineCommand({
    summary: 'Remove an image; force: true also when stopped containers use it.',
    params: z.strictObject({ image: imageParam, force: z.boolean().default(false) }),
    result: statusResult,
    access: 'admin',
    destructive: true,
  }),
  'docker.images.prune': defineCommand({
    summary: 'Remove untagged images that no container uses; all: true also tagged ones.',
    params: z.strictObject({ all: z.boolean().optional() }),
    result: z.looseObject({
      deleted: z.array(z.looseObject({})),
      space_reclaimed: z.number().describe('Bytes.'),
    }),
    access: 'admin',
    destructive: true,
    timeoutMs: 300_000,
  }),
};
