import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { labels, listOf, readReply } from '../../docker-engine/docker-reply.ts';
import { pruneVolumes } from './docker-volume-prune.ts';
import type { Handlers } from './handler.ts';

type VolumeMethod = Extract<keyof Handlers, `docker.volumes.${string}`>;

/** Everything that is done with volumes. */
export function dockerVolumeHandlers(docker: DockerEngine): Pick<Handlers, VolumeMethod> {
  return {
    'docker.volumes.list': async (_params, { signal }) => {
      const reply = await docker.request({ path: '/volumes', signal });
      return readReply(volumesSchema, reply).Volumes.map(describe);
    },
    'docker.volumes.create': async ({ name, driver }, { signal }) => {
      const reply = await docker.request({
        method: 'POST',
        path: '/volumes/create',
        body: { Name: name, Driver: driver },
        subject: { kind: 'volume', name },
        signal,
      });
      return { status: 'created', ...describe(readReply(volumeSchema, reply)) };
    },
    'docker.volumes.remove': async ({ name, force }, { signal }) => {
      await docker.request({
        method: 'DELETE',
        path: `/volumes/${name}`,
        query: { force },
        subject: { kind: 'volume', name },
        signal,
      });
      return { status: 'removed' };
    },
    'docker.volumes.prune': pruneVolumes(docker),
  };
}

const volumeSchema = z.object({
  Name: z.string(),
  Driver: z.string(),
  Mountpoint: z.string(),
  Scope: z.string().nullish(),
  CreatedAt: z.string().nullish(),
  Labels: labels,
});

const volumesSchema = z.object({ Volumes: listOf(volumeSchema) });

function describe(volume: z.output<typeof volumeSchema>) {
  return {
    name: volume.Name,
    driver: volume.Driver,
    mountpoint: volume.Mountpoint,
    scope: volume.Scope ?? null,
    created: volume.CreatedAt ?? null,
    labels: volume.Labels,
  };
}
