import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { isMissing } from '../../docker-engine/docker-errors.ts';
import { CATALOGUE, type ParamsOf, type ResultOf } from '../../protocol/commands/catalogue.ts';
import { TomoError } from '../../protocol/errors.ts';
import { LOG_RESULT_MAX_BYTES } from '../../protocol/limits.ts';
import { readContainerLogs } from '../commands/docker-container-logs.ts';
import type { CommandContext } from '../commands/handler.ts';
import { requireMembers } from './compose-containers.ts';

interface Line {
  /** As the engine writes it: nine digits of a second, so that texts compare as times do. */
  readonly time: string;
  readonly container: string;
  readonly text: string;
}

/** The last lines of every container of a project, in the order of their times. */
export async function readProjectLogs(
  docker: DockerEngine,
  params: ParamsOf<'docker.compose.logs'>,
  context: CommandContext,
): Promise<ResultOf<'docker.compose.logs'>> {
  const { tail, timestamps } = params;
  const members = await requireMembers(docker, params, context.signal);
  const readLogs = readContainerLogs(docker);
  // Each container has its share of the answer, so that one that says much hides no other.
  const shareBytes = Math.floor(LOG_RESULT_MAX_BYTES / members.length);
  const lines: Line[][] = [];
  let isCut = false;
  for (const { container } of members) {
    const { id, name } = container;
    const { params: schema } = CATALOGUE['docker.containers.logs'];
    const wanted = schema.parse({ container: id, tail, timestamps: true });
    const { logs = '', truncated = false } = await readLogs(wanted, context).catch(noLog);
    const kept = newest(logs, shareBytes);
    isCut ||= truncated || kept.length < logs.length;
    lines.push(linesOf(kept, name));
  }
  const merged = lines.flat().toSorted((a, b) => compare(a.time, b.time));
  const shown = merged
    .map(({ time, container, text }) =>
      timestamps ? `${container} | ${time} ${text}\n` : `${container} | ${text}\n`,
    )
    .join('');
  // Names may be longer than the lines behind them.
  const logs = newest(shown, LOG_RESULT_MAX_BYTES);
  return { logs, truncated: isCut || logs.length < shown.length };
}

/** As a line without a time. */
function noLog(error: unknown): { logs: string; truncated?: boolean } {
  const words = inPlaceOfLog(error);
  return { logs: words === undefined ? '' : ` ${words}\n` };
}

/**
 * What stands in the place of a log that cannot be read; nothing for a container that was removed
 * meanwhile. Any other error is thrown.
 */
export function inPlaceOfLog(error: unknown): string | undefined {
  if (isMissing(error)) return undefined;
  if (!(error instanceof TomoError) || error.name !== 'DOCKER_REFUSED') throw error;
  return `[no log: ${error.message}]`;
}

function linesOf(logs: string, container: string): Line[] {
  return logs
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const space = line.indexOf(' ');
      return {
        time: line.slice(0, space),
        container,
        text: line.slice(space + 1).replace(/\r$/, ''),
      };
    });
}

/** The last whole lines that fit. */
function newest(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  const kept = bytes.subarray(bytes.length - maxBytes);
  return kept.subarray(kept.indexOf('\n') + 1).toString();
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
