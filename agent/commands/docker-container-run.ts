import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { isMissing } from '../../docker-engine/docker-errors.ts';
import { formatReference, parseReference, pullImage } from '../../docker-engine/docker-pull.ts';
import { listOf, readReply, shortId } from '../../docker-engine/docker-reply.ts';
import type { ParamsOf } from '../../protocol/commands/catalogue.ts';
import { TomoError, toTomoError } from '../../protocol/errors.ts';
import { createBody } from '../docker/docker-create-body.ts';
import type { CommandContext, Handler } from './handler.ts';

type RunParams = ParamsOf<'docker.containers.run'>;

/** Creates and starts a container; one that cannot be started is removed again. */
export function runContainer(docker: DockerEngine): Handler<'docker.containers.run'> {
  return async (params, context) => {
    const { signal } = context;
    const created = await createWithImage(docker, params, context);
    try {
      await docker.request({
        method: 'POST',
        path: `/containers/${created.Id}/start`,
        subject: { kind: 'container', name: params.name },
        signal,
      });
    } catch (error) {
      throw await withoutContainer(docker, created.Id, params.name, error);
    }
    return { id: shortId(created.Id), name: params.name, warnings: created.Warnings };
  };
}

const createdSchema = z.object({ Id: z.string(), Warnings: listOf(z.string()) });
type Created = z.output<typeof createdSchema>;

async function createWithImage(
  docker: DockerEngine,
  params: RunParams,
  { signal, output }: CommandContext,
): Promise<Created> {
  try {
    return await create(docker, params, signal);
  } catch (error) {
    // The image, or a network, volume driver or container that the parameters name.
    if (!isMissing(error) || (await hasImage(docker, params.image, signal))) throw error;
  }
  const reference = parseReference(params.image, 'latest');
  await pullImage(docker, reference, signal, (line, fraction) => {
    output.progress(`pull: ${line}`, fraction);
  });
  return create(docker, params, signal);
}

async function create(
  docker: DockerEngine,
  params: RunParams,
  signal: AbortSignal,
): Promise<Created> {
  const reply = await docker.request({
    method: 'POST',
    path: '/containers/create',
    query: { name: params.name },
    body: createBody(params),
    subject: { kind: 'container', name: params.name },
    signal,
  });
  return readReply(createdSchema, reply);
}

async function hasImage(docker: DockerEngine, image: string, signal: AbortSignal) {
  const name = formatReference(parseReference(image, 'latest'));
  try {
    await docker.request({
      path: `/images/${name}/json`,
      subject: { kind: 'image', name },
      signal,
    });
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

const CLEAN_UP_TIMEOUT_MS = 30_000;

/** Removes a container that did not start, and adds to the error what became of it. */
async function withoutContainer(
  docker: DockerEngine,
  id: string,
  name: string,
  cause: unknown,
): Promise<TomoError> {
  const error = toTomoError(cause);
  const removed = await remove(docker, id);
  const fate = removed
    ? `Container ${name} did not start and was removed again.`
    : `Container ${name} did not start and could not be removed: call docker.containers.remove.`;
  return new TomoError(error.name, `${error.message} ${fate}`, {
    cause: error,
    facts: { ...error.facts, removed },
  });
}

async function remove(docker: DockerEngine, id: string): Promise<boolean> {
  try {
    await docker.request({
      method: 'DELETE',
      path: `/containers/${id}`,
      query: { force: true, v: true },
      subject: { kind: 'container', name: id },
      // The command's own signal may be what ended the start.
      signal: AbortSignal.timeout(CLEAN_UP_TIMEOUT_MS),
    });
    return true;
  } catch (error) {
    // With auto_remove the engine was quicker.
    return isMissing(error);
  }
}
