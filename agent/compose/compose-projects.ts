import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import type { ResultOf } from '../../protocol/commands/catalogue.ts';
import { listMembers, type Member } from './compose-containers.ts';

/** The projects that have containers, by name. */
export async function listProjects(
  docker: DockerEngine,
  signal: AbortSignal,
): Promise<ResultOf<'docker.compose.ls'>> {
  const projects = Map.groupBy(await listMembers(docker, {}, signal), ({ project }) => project);
  return [...projects]
    .map(([project, members]) => ({ project, ...describe(members) }))
    .toSorted((a, b) => a.project.localeCompare(b.project, 'en'));
}

function describe(members: readonly Member[]) {
  const states = Map.groupBy(members, ({ container }) => container.status);
  return {
    // Not of containers that were made before compose 1.25.
    project_directory: members.find(({ directory }) => directory !== null)?.directory ?? null,
    config_files: [...new Set(members.flatMap(({ files }) => files))],
    services: [...new Set(members.map(({ container }) => container.service))],
    containers: Object.fromEntries([...states].map(([state, some]) => [state, some.length])),
  };
}
