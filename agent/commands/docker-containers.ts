import { z } from 'zod';
import type { DockerEngine, EngineRequest } from '../../docker-engine/docker-engine.ts';
import { listOf, readReply } from '../../docker-engine/docker-reply.ts';
import { execInContainer } from './docker-container-exec.ts';
import { listContainers } from './docker-container-list.ts';
import { readContainerLogs } from './docker-container-logs.ts';
import { runContainer } from './docker-container-run.ts';
import { readContainerStats } from './docker-container-stats.ts';
import type { Handlers } from './handler.ts';

type ContainerMethod = Extract<keyof Handlers, `docker.containers.${string}`>;

/** Everything that is done with containers. */
export function dockerContainerHandlers(docker: DockerEngine): Pick<Handlers, ContainerMethod> {
  return {
    'docker.containers.list': listContainers(docker),
    'docker.containers.run': runContainer(docker),
    'docker.containers.logs': readContainerLogs(docker),
    'docker.containers.stats': readContainerStats(docker),
    'docker.containers.exec': execInContainer(docker),
    ...lifecycleHandlers(docker),
    ...lookHandlers(docker),
  };
}

type LifecycleMethod = `docker.containers.${
  | 'start'
  | 'stop'
  | 'restart'
  | 'remove'
  | 'kill'
  | 'pause'
  | 'unpause'
  | 'rename'}`;

function lifecycleHandlers(docker: DockerEngine): Pick<Handlers, LifecycleMethod> {
  const act = async (container: string, request: Omit<EngineRequest, 'subject'>) => {
    await docker.request({
      method: 'POST',
      ...request,
      path: `/containers/${container}${request.path}`,
      subject: { kind: 'container', name: container },
    });
  };
  return {
    'docker.containers.start': async ({ container }, { signal }) => {
      await act(container, { path: '/start', signal });
      return { status: 'started' };
    },
    'docker.containers.stop': async ({ container, timeout }, { signal }) => {
      await act(container, { path: '/stop', query: { t: timeout }, signal });
      return { status: 'stopped' };
    },
    'docker.containers.restart': async ({ container, timeout }, { signal }) => {
      const query = timeout === undefined ? {} : { t: timeout };
      await act(container, { path: '/restart', query, signal });
      return { status: 'restarted' };
    },
    'docker.containers.remove': async ({ container, force, volumes = false }, { signal }) => {
      await act(container, { method: 'DELETE', path: '', query: { force, v: volumes }, signal });
      return { status: 'removed' };
    },
    'docker.containers.kill': async ({ container, signal: name }, { signal }) => {
      await act(container, { path: '/kill', query: { signal: name }, signal });
      return { status: 'killed' };
    },
    'docker.containers.pause': async ({ container }, { signal }) => {
      await act(container, { path: '/pause', signal });
      return { status: 'paused' };
    },
    'docker.containers.unpause': async ({ container }, { signal }) => {
      await act(container, { path: '/unpause', signal });
      return { status: 'unpaused' };
    },
    'docker.containers.rename': async ({ container, name }, { signal }) => {
      await act(container, { path: '/rename', query: { name }, signal });
      return { status: 'renamed', name };
    },
  };
}

const topSchema = z.object({ Titles: listOf(z.string()), Processes: listOf(z.array(z.string())) });

const KINDS = ['modified', 'added', 'deleted'] as const;
const changesSchema = listOf(z.object({ Path: z.string(), Kind: z.literal([0, 1, 2]) }));

function lookHandlers(
  docker: DockerEngine,
): Pick<Handlers, `docker.containers.${'inspect' | 'top' | 'diff'}`> {
  const look = (container: string, request: Omit<EngineRequest, 'subject'>) =>
    docker.request({
      ...request,
      path: `/containers/${container}${request.path}`,
      subject: { kind: 'container', name: container },
    });
  return {
    'docker.containers.inspect': async ({ container }, { signal }) =>
      readReply(z.looseObject({}), await look(container, { path: '/json', signal })),
    'docker.containers.top': async ({ container, ps_args }, { signal }) => {
      const query = ps_args === undefined ? {} : { ps_args };
      const reply = await look(container, { path: '/top', query, signal });
      const { Titles, Processes } = readReply(topSchema, reply);
      return { titles: Titles, processes: Processes };
    },
    'docker.containers.diff': async ({ container }, { signal }) => {
      const reply = await look(container, { path: '/changes', signal });
      const changes = readReply(changesSchema, reply);
      return { changes: changes.map(({ Path, Kind }) => ({ path: Path, kind: KINDS[Kind] })) };
    },
  };
}
