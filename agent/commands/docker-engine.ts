import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { count, listOf, readReply } from '../../docker-engine/docker-reply.ts';
import { diskUsageSchema } from './docker-disk-usage.ts';
import { engineEvents } from './docker-events.ts';
import type { Handlers } from './handler.ts';

type EngineMethod = 'docker.info' | 'docker.df' | 'docker.events';

/** Questions to the engine itself. */
export function dockerEngineHandlers(docker: DockerEngine): Pick<Handlers, EngineMethod> {
  return {
    'docker.info': async (_params, { signal }) => {
      const [info, version] = await Promise.all([
        docker.request({ path: '/info', signal }),
        docker.version(signal),
      ]);
      return { ...describe(readReply(infoSchema, info)), ...version };
    },
    'docker.df': async (_params, { signal }) =>
      readReply(diskUsageSchema, await docker.request({ path: '/system/df', signal })),
    'docker.events': engineEvents(docker),
  };
}

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '');

const infoSchema = z.object({
  ID: text,
  Name: text,
  OperatingSystem: text,
  KernelVersion: text,
  Architecture: text,
  Driver: text,
  DockerRootDir: text,
  CgroupVersion: text,
  LoggingDriver: text,
  NCPU: count,
  MemTotal: count,
  ContainersRunning: count,
  ContainersPaused: count,
  ContainersStopped: count,
  Images: count,
  Warnings: listOf(z.string()),
});

function describe(info: z.output<typeof infoSchema>) {
  return {
    id: info.ID,
    name: info.Name,
    os: info.OperatingSystem,
    kernel: info.KernelVersion,
    arch: info.Architecture,
    storage_driver: info.Driver,
    root_dir: info.DockerRootDir,
    cgroup_version: info.CgroupVersion,
    logging_driver: info.LoggingDriver,
    cpus: info.NCPU,
    memory: info.MemTotal,
    containers: {
      running: info.ContainersRunning,
      paused: info.ContainersPaused,
      stopped: info.ContainersStopped,
    },
    images: info.Images,
    warnings: info.Warnings,
  };
}
