import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { dockerOptions } from '../../docker-engine/docker-address.ts';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { readReply } from '../../docker-engine/docker-reply.ts';
import { TomoError } from '../../protocol/errors.ts';
import {
  type ContainerFacts,
  HELPER_LABEL,
  LABEL_SET,
  type OwnContainer,
} from './own-container.ts';
import { UNINSTALL_COMMAND, uninstallArguments } from './uninstall-helper.ts';

export interface UninstallOptions {
  readonly own: OwnContainer;
  readonly engine: DockerEngine;
  /** What this agent was given as DOCKER_HOST. */
  readonly dockerHost: string | undefined;
}

const INSTEAD =
  'Remove it where it runs: "docker rm -f" with its container’s name, then "docker volume rm" with its volume’s, or the process and its DATA_DIR.';

/**
 * Starts a helper from the agent's own image that removes the agent's container and data volume,
 * then itself; it leaves time for the answer.
 * @throws TomoError NOT_CONTAINERISED, or as DockerEngine.request does
 */
export async function startUninstall(
  options: UninstallOptions,
  signal: AbortSignal,
): Promise<{ container: string; volume: string | null }> {
  const { own, engine } = options;
  const facts = await own.ours(INSTEAD, signal);
  const name = `tomo-agent-uninstall-${randomBytes(3).toString('hex')}`;
  const subject = { kind: 'container', name } as const;
  const reply = await engine.request({
    method: 'POST',
    path: '/containers/create',
    query: { name },
    body: helperBody(facts, options.dockerHost),
    subject,
    signal,
  });
  const { Id } = readReply(createdSchema, reply);
  try {
    await engine.request({ method: 'POST', path: `/containers/${Id}/start`, subject, signal });
  } catch (error) {
    await engine
      .request({ method: 'DELETE', path: `/containers/${Id}`, query: { force: true }, subject })
      .catch(() => undefined);
    throw error;
  }
  return { container: facts.name, volume: facts.volume };
}

const createdSchema = z.object({ Id: z.string() });

function helperBody(facts: ContainerFacts, dockerHost: string | undefined): object {
  const { socketPath } = dockerOptions(dockerHost);
  return {
    Image: facts.image,
    Cmd: [UNINSTALL_COMMAND, ...uninstallArguments(facts)],
    Env: dockerHost === undefined ? [] : [`DOCKER_HOST=${dockerHost}`],
    Labels: { [HELPER_LABEL]: LABEL_SET },
    User: facts.user,
    // The image's would call it unhealthy.
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      ...facts.permissions,
      AutoRemove: true,
      Binds: socketPath === undefined ? [] : [socketBind(facts, socketPath)],
      // An engine behind TCP may be reachable in the agent's network only.
      NetworkMode: socketPath === undefined ? facts.networkMode : 'none',
    },
  };
}

/** The mount through which the agent reaches the socket: the file itself, or a folder above it. */
function socketBind({ mounts, name }: ContainerFacts, socketPath: string): string {
  const above = mounts
    .filter(
      ({ destination }) =>
        destination === socketPath || socketPath.startsWith(`${destination.replace(/\/$/, '')}/`),
    )
    .toSorted((a, b) => b.destination.length - a.destination.length);
  const [mount] = above;
  if (mount !== undefined) return `${mount.source}:${mount.destination}`;
  throw new TomoError(
    'NOT_CONTAINERISED',
    `The engine’s socket ${socketPath} is not mounted into container ${name}. ${INSTEAD}`,
  );
}
