import { z } from 'zod';
import { defineCommand } from './define-command.ts';
import { objectName, statusResult, volumeParam } from './fields.ts';

/** Volumes. */
export const dockerVolumeCommands = {
  'docker.volumes.list': defineCommand({
    summary: 'List the volumes on the server.',
    params: z.strictObject({}),
    result: z.array(
      z.looseObject({ name: z.string(), driver: z.string(), mountpoint: z.string() }),
    ),
    access: 'read',
  }),
  'docker.volumes.create': defineCommand({
    summary: 'Create a volume.',
    params: z.strictObject({ name: volumeParam, driver: objectName.default('local') }),
    result: z.looseObject({ status: z.string(), name: z.string() }),
    access: 'admin',
    idempotent: true,
  }),
  'docker.volumes.remove': defineCommand({
    summary: 'Remove a volume that no container uses, and all that is in it.',
    params: z.strictObject({ name: volumeParam, force: z.boolean().default(false) }),
    result: statusResult,
    access: 'admin',
    destructive: true,
  }),
  'docker.volumes.prune': defineCommand({
    summary: 'Remove anonymous volumes that no container uses; all: true also named ones.',
    params: z.strictObject({ all: z.boolean().optional() }),
    result: z.looseObject({
      deleted: z.array(z.string()),
      space_reclaimed: z.number().describe('Bytes.'),
    }),
    access: 'admin',
    destructive: true,
    timeoutMs: 120_000,
  }),
};
