import { z } from 'zod';
import { TomoError } from '../protocol/errors.ts';
import type { DockerEngine, EngineRequest } from './docker-engine.ts';
import { readReply } from './docker-reply.ts';
import { jsonLines } from './json-lines.ts';
import { Layers } from './pull-layers.ts';

/** An image reference with its tag or digest, `latest` if it has neither. */
export interface PullReference {
  readonly repository: string;
  /** After ":"; a reference with a digest has none. */
  readonly tag?: string;
  /** Whether `tag` stood in the reference. */
  readonly explicit: boolean;
}

/** Takes "localhost:5000/app:1" apart; `defaultTag` stands in where there is neither tag nor digest. */
export function parseReference(image: string, defaultTag: string): PullReference {
  if (image.includes('@')) return { repository: image, explicit: true };
  // A colon before the last slash belongs to the registry's port.
  const colon = image.indexOf(':', image.lastIndexOf('/') + 1);
  if (colon < 0) return { repository: image, tag: defaultTag, explicit: false };
  return { repository: image.slice(0, colon), tag: image.slice(colon + 1), explicit: true };
}

export function formatReference({ repository, tag }: PullReference): string {
  return tag === undefined ? repository : `${repository}:${tag}`;
}

/**
 * Fetches an image; answers the engine's last line ("Status: Image is up to date for ...").
 * @throws TomoError IMAGE_NOT_FOUND if the registry does not have it, refuses, or cannot be reached
 */
export async function pullImage(
  docker: DockerEngine,
  reference: PullReference,
  signal: AbortSignal,
  onProgress: (line: string, fraction?: number) => void = () => undefined,
): Promise<string> {
  const name = formatReference(reference);
  const { repository, tag } = reference;
  const request: EngineRequest = {
    method: 'POST',
    path: '/images/create',
    query: { fromImage: repository, ...(tag !== undefined && { tag }) },
    subject: { kind: 'image', name },
    signal,
  };
  try {
    return await docker.stream(request, (bytes) => readProgress(bytes, name, onProgress));
  } catch (error) {
    if (error instanceof TomoError && isRegistryFailure(error)) {
      throw pullError(name, String(error.facts['words']), error);
    }
    throw error;
  }
}

const progressSchema = z.object({
  id: z.string().optional(),
  progressDetail: z
    .object({ current: z.number().optional(), total: z.number().optional() })
    .optional(),
  status: z.string().optional(),
  error: z.string().optional(),
  errorDetail: z.object({ message: z.string() }).optional(),
});

/** The answer is a 200 from the start; whether the pull failed stands in one of its lines. */
async function readProgress(
  stream: AsyncIterable<Buffer>,
  name: string,
  onProgress: (line: string, fraction?: number) => void,
): Promise<string> {
  const layers = new Layers();
  let last = '';
  for await (const { value } of jsonLines(stream)) {
    const progress = readReply(progressSchema, value);
    const { id, status, error, errorDetail, progressDetail } = progress;
    const words = errorDetail?.message ?? error;
    if (words !== undefined) throw pullError(name, words);
    last = status ?? last;
    if (id !== undefined && status !== undefined) layers.note(id, status, progressDetail);
    onProgress(last, layers.fraction);
  }
  return last;
}

function isRegistryFailure({ facts }: TomoError): boolean {
  return facts['status'] === 404 || facts['status'] === 500;
}

function pullError(image: string, words: string, cause?: unknown): TomoError {
  return new TomoError(
    'IMAGE_NOT_FOUND',
    `The image ${image} could not be pulled: ${words}. Check its name and tag, and that the server reaches the registry and is logged in there.`,
    { cause, facts: { image } },
  );
}
