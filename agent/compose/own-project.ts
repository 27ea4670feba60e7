import { TomoError } from '../../protocol/errors.ts';
import type { OwnContainer } from '../own-container/own-container.ts';
import type { Compose } from './compose-command.ts';
import { readConfig } from './compose-config.ts';
import { PROJECT_LABEL } from './compose-containers.ts';

/**
 * Keeps compose from the project that the agent itself belongs to, if it does.
 * @throws TomoError SELF_PROTECTED, INVALID_PARAMS if compose does not tell which project a call is
 * about, and what OwnContainer.facts and readConfig do
 */
export async function refuseOwnProject(
  method: string,
  own: OwnContainer,
  compose: Compose,
  project: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const ours = (await own.facts(signal))?.labels[PROJECT_LABEL];
  if (ours === undefined) return;
  const meant = project ?? (await readConfig(compose)).name;
  if (meant === undefined) throw unknownProject(method, ours);
  if (!isSame(meant, ours)) return;
  throw new TomoError(
    'SELF_PROTECTED',
    `Compose project ${ours} holds the agent itself: ${method} is refused. Put the agent into a project of its own; agent.restart restarts it, uninstall_agent removes it.`,
    { facts: { method, project: ours } },
  );
}

/** Old versions left out dashes and underscores. */
function isSame(a: string, b: string): boolean {
  const letters = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '');
  return letters(a) === letters(b);
}

function unknownProject(method: string, ours: string): TomoError {
  return new TomoError(
    'INVALID_PARAMS',
    `The agent itself belongs to compose project ${ours}, and this server's compose does not tell which project a directory is: give ${method} the param project. docker.compose.ls shows names; of a new project it is the directory's name.`,
    { facts: { method, project: ours } },
  );
}
