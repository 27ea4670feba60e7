import { z } from 'zod';

/** Parameters that several families share. Names are anchored so that none can leave its URL segment. */

const NAME_MAX_CHARS = 255;
const OBJECT_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const IMAGE_REFERENCE = /^[a-zA-Z0-9](?:[a-zA-Z0-9_.:@-]|\/(?=[a-zA-Z0-9]))*$/;
const nameMessage = 'letters, digits, "_", "." and "-", starting with a letter or digit';

export const objectName = z.string().max(NAME_MAX_CHARS).regex(OBJECT_NAME, nameMessage);

export const containerParam = objectName.describe('Name or id of the container.');
export const networkParam = objectName.describe('Name or id of the network.');
export const volumeParam = objectName.describe('Name of the volume.');

export const imageParam = z
  .string()
  .max(512)
  .regex(IMAGE_REFERENCE, 'an image reference such as "nginx", "nginx:1.27" or "ghcr.io/me/app"')
  .describe('Image reference: name, name:tag, name@digest, or an id.');

const ENVIRONMENT_NAME = /^[^=\0]+$/;
export const environmentParam = z
  .record(z.string().regex(ENVIRONMENT_NAME, 'a name without "="'), z.string())
  .describe('Environment variables, name to value.');

export const revealEnvironmentParam = z
  .boolean()
  .default(false)
  .describe('Show the values of environment variables; needs admin access.');

/** A command line: one string for a shell, or the program and its arguments. */
export const commandLine = z.union([z.string().min(1), z.array(z.string()).min(1)]);

export const noParams = z.strictObject({});
export const statusResult = z.looseObject({ status: z.string() });

/** Seconds a method may take on the server before it is stopped there. */
export function secondsParam(defaultSeconds: number): z.ZodDefault<z.ZodNumber> {
  return z.number().int().min(1).max(86_400).default(defaultSeconds);
}
