import { z } from 'zod';
import { type ErrorName, TomoError } from '../protocol/errors.ts';

/** What a request to the engine is about; errors name it, and say how to list its like. */
export type Subject =
  | { readonly kind: 'container' | 'image' | 'volume' | 'network'; readonly name: string }
  | { readonly kind: 'engine' };

/** Turns every way in which a request to the engine fails into an error of the table. */
export function toDockerError(error: unknown, subject: Subject, signal?: AbortSignal): TomoError {
  if (error instanceof TomoError) return error;
  if (signal?.aborted === true) return aborted(signal, error);
  const { code, statusCode, words } = readFailure(error);
  if (statusCode !== undefined) return refused(statusCode, words, subject, error);
  if (code !== undefined) return unreachable(code, words, error);
  return new TomoError('INTERNAL_ERROR', 'Internal error; the cause is in the log.', {
    cause: error,
  });
}

/** Whether the engine answered with 404: the subject, or what the request named beside it. */
export function isMissing(error: unknown): boolean {
  return error instanceof TomoError && ['NOT_FOUND', 'IMAGE_NOT_FOUND'].includes(error.name);
}

const failureSchema = z
  .object({
    message: z.string(),
    code: z.string().optional().catch(undefined),
    statusCode: z.number().optional().catch(undefined),
    json: z.object({ message: z.string() }).optional().catch(undefined),
  })
  .catch({ message: '' });

// What the library puts before the engine's own words.
const LIBRARY_PREFIX = /^\(HTTP code \d+\) .*? - /;

function readFailure(error: unknown) {
  const { message, code, statusCode, json } = failureSchema.parse(error);
  return { code, statusCode, words: (json?.message ?? message.replace(LIBRARY_PREFIX, '')).trim() };
}

function aborted(signal: AbortSignal, cause: unknown): TomoError {
  const timedOut = signal.reason instanceof Error && signal.reason.name === 'TimeoutError';
  return timedOut
    ? new TomoError(
        'COMMAND_TIMED_OUT',
        'The Docker engine did not answer in time; the command may have taken effect.',
        { cause },
      )
    : new TomoError(
        'COMMAND_CANCELLED',
        'The command was cancelled while the Docker engine worked on it; it may have taken effect.',
        { cause },
      );
}

function unreachable(code: string, words: string, cause: unknown): TomoError {
  if (code === 'EACCES' || code === 'EPERM') {
    return new TomoError(
      'DOCKER_NOT_PERMITTED',
      `The agent may not use the Docker engine's socket (${words}). Run it as root or in the socket's group.`,
      { cause, facts: { errno: code } },
    );
  }
  return new TomoError(
    'DOCKER_UNAVAILABLE',
    `No Docker engine answers (${words}). Start it, or start the agent with DOCKER_HOST set to where it listens and that socket mounted.`,
    { cause, facts: { errno: code } },
  );
}

function refused(status: number, words: string, subject: Subject, cause: unknown): TomoError {
  const said = /[.!?]$/.test(words) ? words : `${words}.`;
  const message = status === 404 ? `${said} ${LISTED_BY[subject.kind]}` : said;
  return new TomoError(errorName(status, subject), message, {
    cause,
    facts: { ...subject, status, words },
  });
}

function errorName(status: number, { kind }: Subject): ErrorName {
  if (status === 404) return kind === 'image' ? 'IMAGE_NOT_FOUND' : 'NOT_FOUND';
  // The engine says 403 for a network in use, already joined or predefined.
  if (status === 409 || (status === 403 && kind === 'network')) return 'CONFLICT';
  return 'DOCKER_REFUSED';
}

const LISTED_BY: Readonly<Record<Subject['kind'], string>> = {
  container: 'docker.containers.list with {"all": true} shows the containers of this server.',
  image: 'docker.images.list shows the images of this server; docker.images.pull fetches others.',
  volume: 'docker.volumes.list shows the volumes of this server.',
  network: 'docker.networks.list shows the networks of this server.',
  engine: 'docker.info shows what this engine is.',
};
