import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { isMissing } from '../../docker-engine/docker-errors.ts';
import { labels, readReply } from '../../docker-engine/docker-reply.ts';
import { TomoError } from '../../protocol/errors.ts';
import { HELPER_LABEL, LABEL_SET, type OwnContainer } from './own-container.ts';

/**
 * Called before a method with its parsed params.
 * @throws TomoError SELF_PROTECTED if the call would harm the agent itself
 */
export type Guard = (method: string, params: unknown, signal: AbortSignal) => Promise<void>;

const HARMS_CONTAINER: ReadonlySet<string> = new Set([
  'docker.containers.stop',
  'docker.containers.restart',
  'docker.containers.remove',
  'docker.containers.kill',
  'docker.containers.pause',
  'docker.containers.rename',
  'docker.networks.disconnect',
]);
const HARMS_VOLUME = 'docker.volumes.remove';

/** Keeps callers from the agent's own container, its data volume and its helpers. */
export function selfProtection(engine: DockerEngine, own: OwnContainer): Guard {
  return async (method, params, signal) => {
    if (HARMS_CONTAINER.has(method)) {
      const { container } = containerSchema.parse(params);
      const kind = await kindOf(engine, own, container, signal);
      if (kind !== undefined) throw refused(method, `Container ${container} is ${kind}`);
    } else if (method === HARMS_VOLUME) {
      const { name } = volumeSchema.parse(params);
      const facts = await own.facts(signal);
      if (facts?.volume === name) {
        throw refused(method, `Volume ${name} holds the registration of the agent itself`);
      }
    }
  };
}

const containerSchema = z.looseObject({ container: z.string() });
const volumeSchema = z.looseObject({ name: z.string() });
const inspectSchema = z.object({ Id: z.string(), Config: z.object({ Labels: labels }) });

/** What a container is to the agent, by whatever name or part of its id it is called. */
async function kindOf(
  engine: DockerEngine,
  own: OwnContainer,
  name: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const facts = await own.facts(signal);
  if (facts === undefined) return undefined;
  try {
    const subject = { kind: 'container', name } as const;
    const reply = await engine.request({ path: `/containers/${name}/json`, subject, signal });
    const { Id, Config } = readReply(inspectSchema, reply);
    if (Id === facts.id) return 'the one the agent itself runs in';
    return Config.Labels[HELPER_LABEL] === LABEL_SET ? 'a helper of the agent' : undefined;
  } catch (error) {
    // The method itself says so, in its own words.
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function refused(method: string, what: string): TomoError {
  return new TomoError(
    'SELF_PROTECTED',
    `${what}: ${method} is refused. agent.restart restarts the agent, uninstall_agent removes it.`,
    { facts: { method } },
  );
}
