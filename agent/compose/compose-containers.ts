import path from 'node:path';
import type { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { listOf, readReply } from '../../docker-engine/docker-reply.ts';
import { TomoError } from '../../protocol/errors.ts';
import { containerSchema, describe } from '../commands/docker-container-list.ts';

/** What compose writes on every container it makes, in both generations. */
export const PROJECT_LABEL = 'com.docker.compose.project';
const SERVICE_LABEL = 'com.docker.compose.service';
const DIRECTORY_LABEL = 'com.docker.compose.project.working_dir';
const FILES_LABEL = 'com.docker.compose.project.config_files';
const ONE_OFF_LABEL = 'com.docker.compose.oneoff';

/** A container of a project, as `docker.containers.list` shows it but for the labels. */
export interface ComposeContainer {
  readonly [more: string]: unknown;
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly status: string;
  readonly status_text: string;
  readonly health: string | null;
  readonly exit_code: number | null;
  readonly service: string;
}

/** A container, and what its labels say of its project. */
export interface Member {
  readonly container: ComposeContainer;
  readonly project: string;
  readonly directory: string | null;
  readonly files: readonly string[];
}

export interface MemberFilter {
  readonly project?: string | undefined;
  readonly project_directory?: string | undefined;
  readonly services?: readonly string[] | undefined;
}

/** All containers of projects, stopped ones too; not those that `compose run` made. */
export async function listMembers(
  docker: DockerEngine,
  filter: MemberFilter,
  signal: AbortSignal,
): Promise<Member[]> {
  const { project, project_directory, services } = filter;
  const label = project === undefined ? PROJECT_LABEL : `${PROJECT_LABEL}=${project}`;
  const query = { all: true, filters: { label: [label] } };
  const reply = await docker.request({ path: '/containers/json', query, signal });
  return readReply(listOf(containerSchema), reply)
    .filter(({ Labels }) => Labels[ONE_OFF_LABEL]?.toLowerCase() !== 'true')
    .map(toMember)
    .filter(
      ({ directory, container }) =>
        (project_directory === undefined || isSamePath(directory, project_directory)) &&
        (services === undefined || services.includes(container.service)),
    )
    .toSorted(byName);
}

/** @throws TomoError NOT_FOUND if there are none */
export async function requireMembers(
  docker: DockerEngine,
  filter: MemberFilter,
  signal: AbortSignal,
): Promise<Member[]> {
  const members = await listMembers(docker, filter, signal);
  if (members.length > 0) return members;
  const { project, project_directory, services } = filter;
  const which = [
    project && `project ${project}`,
    project_directory && `a project in ${project_directory}`,
  ].filter((words) => words !== undefined);
  const what = services === undefined ? '' : ` for ${services.join(', ')}`;
  throw new TomoError(
    'NOT_FOUND',
    `There is no container of ${which.join(' and ')}${what}. docker.compose.ls shows the projects that have any, with their directories; docker.compose.up makes them.`,
    { facts: { project, project_directory, services } },
  );
}

function toMember(found: z.output<typeof containerSchema>): Member {
  const { labels, ...container } = describe(found);
  const directory = labels[DIRECTORY_LABEL] ?? null;
  const exited = /^Exited \((\d+)\)/.exec(found.Status)?.[1];
  return {
    container: {
      ...container,
      service: labels[SERVICE_LABEL] ?? '',
      exit_code: exited === undefined ? null : Number(exited),
    },
    project: labels[PROJECT_LABEL] ?? '',
    directory,
    files: (labels[FILES_LABEL] ?? '')
      .split(',')
      .filter((file) => file !== '')
      // The first generation writes them as they were given.
      .map((file) => path.posix.resolve(directory ?? '/', file)),
  };
}

function isSamePath(a: string | null, b: string): boolean {
  return a !== null && withoutEnd(a) === withoutEnd(b);
}

function withoutEnd(directory: string): string {
  return directory.replace(/\/+$/, '');
}

function byName(a: Member, b: Member): number {
  return a.container.name.localeCompare(b.container.name, 'en', { numeric: true });
}
