import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { isMissing } from '../../docker-engine/docker-errors.ts';
import { count, listOf, readReply } from '../../docker-engine/docker-reply.ts';
import { TomoError } from '../../protocol/errors.ts';
import type { Handler } from './handler.ts';

type Pruned = Awaited<ReturnType<Handler<'docker.volumes.prune'>>>;

/**
 * Removes volumes that no container uses: anonymous ones, or with `all` named ones too. Engines before
 * API 1.42, and Podman, know only the latter, so there the anonymous ones are found and removed here.
 */
export function pruneVolumes(docker: DockerEngine): Handler<'docker.volumes.prune'> {
  return async ({ all = false }, { signal }) => {
    const selects = knowsAnonymous((await docker.version(signal)).api_version);
    if (!all && !selects) return pruneAnonymous(docker, signal);
    const reply = await docker.request({
      method: 'POST',
      path: '/volumes/prune',
      query: all && selects ? { filters: { all: ['true'] } } : {},
      signal,
    });
    const { VolumesDeleted, SpaceReclaimed } = readReply(prunedSchema, reply);
    return { deleted: VolumesDeleted, space_reclaimed: SpaceReclaimed };
  };
}

const prunedSchema = z.object({ VolumesDeleted: listOf(z.string()), SpaceReclaimed: count });

const SELECTS_SINCE_MINOR = 42;

/** API versions are 1.N. */
function knowsAnonymous(apiVersion: string): boolean {
  return Number(apiVersion.split('.')[1]) >= SELECTS_SINCE_MINOR;
}

// Engines give volumes without a name 64 hexadecimal digits.
const ANONYMOUS = /^[0-9a-f]{64}$/;

const usageSchema = z.object({
  Volumes: listOf(
    z.object({
      Name: z.string(),
      UsageData: z.object({ Size: z.number(), RefCount: z.number() }).nullish(),
    }),
  ),
});

async function pruneAnonymous(docker: DockerEngine, signal: AbortSignal): Promise<Pruned> {
  const { Volumes } = readReply(usageSchema, await docker.request({ path: '/system/df', signal }));
  const deleted: string[] = [];
  let reclaimed = 0;
  for (const { Name, UsageData } of Volumes) {
    if (!ANONYMOUS.test(Name) || UsageData?.RefCount !== 0) continue;
    if (!(await removeUnused(docker, Name, signal))) continue;
    deleted.push(Name);
    reclaimed += Math.max(0, UsageData.Size);
  }
  return { deleted, space_reclaimed: reclaimed };
}

/** False for a volume that a container has taken, or someone has removed, since it was listed. */
async function removeUnused(
  docker: DockerEngine,
  name: string,
  signal: AbortSignal,
): Promise<boolean> {
  const subject = { kind: 'volume', name } as const;
  try {
    await docker.request({ method: 'DELETE', path: `/volumes/${name}`, subject, signal });
    return true;
  } catch (error) {
    if (isMissing(error) || (error instanceof TomoError && error.name === 'CONFLICT')) return false;
    throw error;
  }
}
