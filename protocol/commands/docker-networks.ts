import { z } from 'zod';
import { defineCommand } from './define-command.ts';
import { containerParam, networkParam, objectName, statusResult } from './fields.ts';

/** Networks. */
export const dockerNetworkCommands = {
  'docker.networks.list': defineCommand({
    summary: 'List the networks on the server.',
    params: z.strictObject({}),
    result: z.array(
      z.looseObject({
        id: z.string(),
        name: z.string(),
        driver: z.string(),
        scope: z.string(),
      }),
    ),
    access: 'read',
  }),
  'docker.networks.create': defineCommand({
    summary: 'Create a network; a name that is taken is refused.',
    params: z.strictObject({ name: networkParam, driver: objectName.default('bridge') }),
    result: z.looseObject({ status: z.string(), name: z.string() }),
    access: 'admin',
  }),
  'docker.networks.remove': defineCommand({
    summary: 'Remove a network that no container uses.',
    params: z.strictObject({ name: networkParam }),
    result: statusResult,
    access: 'admin',
    destructive: true,
  }),
  'docker.networks.connect': defineCommand({
    summary: 'Attach a container to a network.',
    params: z.strictObject({
      network: networkParam,
      container: containerParam,
      aliases: z.array(objectName).optional(),
    }),
    result: statusResult,
    access: 'admin',
  }),
  'docker.networks.disconnect': defineCommand({
    summary: 'Detach a container from a network.',
    params: z.strictObject({
      network: networkParam,
      container: containerParam,
      force: z.boolean().default(false),
    }),
    result: statusResult,
    access: 'admin',
  }),
  'docker.networks.prune': defineCommand({
    summary: 'Remove networks that no container uses.',
    params: z.strictObject({}),
    result: z.looseObject({ deleted: z.array(z.string()) }),
    access: 'admin',
    destructive: true,
  }),
};
