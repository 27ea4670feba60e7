import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { pack } from 'tar-stream';
import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { parseReference, pullImage } from '../../docker-engine/docker-pull.ts';
import { readReply } from '../../docker-engine/docker-reply.ts';
import { jsonLines } from '../../docker-engine/json-lines.ts';
import { TomoError } from '../../protocol/errors.ts';
import { VERSION } from '../../protocol/version.ts';
import type { Progress } from './progress.ts';

/** What an image is built from on a target that can neither find nor pull it. */
const CONTEXT_FILES = {
  'Dockerfile.agent': '../../Dockerfile.agent',
  'dist/agent.mjs': '../../dist/agent.mjs',
} as const;
const BUILD_LOG_MAX_CHARS = 2_000;
/** How engines say that a registry does not hand the image out. */
const REFUSALS = new Set<string>(['IMAGE_NOT_FOUND', 'DOCKER_REFUSED', 'CONFLICT', 'NOT_FOUND']);

interface ImageOptions {
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/**
 * Sees that the target has the agent's image: there already, else pulled, else built there from the
 * context that Tomo carries. Throws IMAGE_BUILD_FAILED with the end of the build's log.
 */
export async function ensureAgentImage(
  engine: DockerEngine,
  image: string,
  { progress, signal }: ImageOptions,
): Promise<void> {
  if (await hasImage(engine, image, signal)) return;
  progress(`pulling ${image}`);
  const reference = parseReference(image, 'latest');
  try {
    await pullImage(engine, reference, signal, (line, share) => progress(`pull: ${line}`, share));
    return;
  } catch (error) {
    if (!(error instanceof TomoError) || !REFUSALS.has(error.name)) throw error;
    progress(`${image} is not to be had from its registry; building it there`);
    await buildImage(engine, image, error, { progress, signal });
  }
}

async function hasImage(
  engine: DockerEngine,
  image: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await engine.request({
      path: `/images/${image}/json`,
      subject: { kind: 'image', name: image },
      signal,
    });
    return true;
  } catch (error) {
    if (error instanceof TomoError && error.name === 'IMAGE_NOT_FOUND') return false;
    throw error;
  }
}

async function buildImage(
  engine: DockerEngine,
  image: string,
  pullError: TomoError,
  { progress, signal }: ImageOptions,
): Promise<void> {
  const context = await buildContext(pullError);
  const query = {
    t: image,
    dockerfile: 'Dockerfile.agent',
    buildargs: JSON.stringify({ VERSION }),
    networkmode: 'host',
    rm: true,
    forcerm: true,
  };
  const request = { method: 'POST', path: '/build', query, tar: context, signal } as const;
  const failure = await engine.stream(request, (bytes) => followBuild(bytes, progress));
  if (failure === undefined) return;
  throw new TomoError(
    'IMAGE_BUILD_FAILED',
    `The agent's image ${image} could neither be pulled (${pullError.message}) nor built on the target: ${failure}`,
    { facts: { image } },
  );
}

async function buildContext(pullError: TomoError): Promise<Readable> {
  const archive = pack();
  for (const [name, path] of Object.entries(CONTEXT_FILES)) {
    try {
      archive.entry({ name }, await readFile(fileURLToPath(new URL(path, import.meta.url))));
    } catch (cause) {
      throw new TomoError(
        'IMAGE_BUILD_FAILED',
        `${pullError.message} It cannot be built either: ${name} is missing here. In a checkout run "npm run build:agent" first.`,
        { cause },
      );
    }
  }
  archive.finalize();
  return Readable.from(archive);
}

const buildLineSchema = z.looseObject({
  stream: z.string().optional(),
  error: z.string().optional(),
});

/** The reply is a 200 from the start; whether the build failed stands in one of its lines. */
async function followBuild(
  bytes: AsyncIterable<Buffer>,
  progress: Progress,
): Promise<string | undefined> {
  let log = '';
  for await (const { value } of jsonLines(bytes)) {
    const { stream, error } = readReply(buildLineSchema, value);
    if (error !== undefined) return `${error.trim()}\n${log.slice(-BUILD_LOG_MAX_CHARS)}`.trim();
    log = (log + (stream ?? '')).slice(-2 * BUILD_LOG_MAX_CHARS);
    const step = /^Step (\d+)\/(\d+)/.exec(stream ?? '');
    if (step !== null) progress(`build: ${stream?.trim()}`, Number(step[1]) / Number(step[2]));
  }
  return undefined;
}
