import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { isMissing } from '../../docker-engine/docker-errors.ts';
import { labels, readReply } from '../../docker-engine/docker-reply.ts';
import { TomoError } from '../../protocol/errors.ts';
import { AGENT_LABEL, LABEL_SET } from './own-container.ts';

/** First argument of the program when it is to do the helper's work. */
export const UNINSTALL_COMMAND = 'uninstall';

const NO_VOLUME = '-';

/** What is to be removed, as the program's arguments. */
export function uninstallArguments(agent: { id: string; volume: string | null }): string[] {
  return [agent.id, agent.volume ?? NO_VOLUME];
}

export interface UninstallTimes {
  /** For the agent's answer to get out. */
  readonly answerMs: number;
  /** Between two tries at a volume that is in use, and until it is left where it is. */
  readonly volumeRetryMs: number;
  readonly volumeLimitMs: number;
}

const TIMES: UninstallTimes = { answerMs: 2_000, volumeRetryMs: 1_000, volumeLimitMs: 30_000 };

/**
 * Removes the agent's container and its data volume; what is gone already is fine. Throws TomoError
 * SELF_PROTECTED for a container that is no agent's, CONFLICT for a volume that stays in use.
 */
export async function removeAgent(
  engine: DockerEngine,
  args: readonly string[],
  log: Logger,
  times: UninstallTimes = TIMES,
): Promise<void> {
  const [container, volume] = argumentsSchema.parse(args);
  await delay(times.answerMs);
  await removeContainer(engine, container);
  log.info({ container }, 'agent’s container removed');
  if (volume === NO_VOLUME) return;
  await removeVolume(engine, volume, times);
  log.info({ volume }, 'agent’s volume removed');
}

const argumentsSchema = z.tuple([z.string().min(1), z.string().min(1)]);
const inspectSchema = z.object({ Config: z.object({ Labels: labels }) });

async function removeContainer(engine: DockerEngine, name: string): Promise<void> {
  const path = `/containers/${name}`;
  const subject = { kind: 'container', name } as const;
  try {
    const { Config } = readReply(
      inspectSchema,
      await engine.request({ path: `${path}/json`, subject }),
    );
    if (Config.Labels[AGENT_LABEL] !== LABEL_SET) throw notAnAgent(name);
    await engine.request({ method: 'DELETE', path, query: { force: true }, subject });
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

async function removeVolume(
  engine: DockerEngine,
  name: string,
  { volumeRetryMs, volumeLimitMs }: UninstallTimes,
): Promise<void> {
  const limit = AbortSignal.timeout(volumeLimitMs);
  for (;;) {
    try {
      const subject = { kind: 'volume', name } as const;
      await engine.request({ method: 'DELETE', path: `/volumes/${name}`, subject });
      return;
    } catch (error) {
      if (isMissing(error)) return;
      const isInUse = error instanceof TomoError && error.name === 'CONFLICT';
      if (!isInUse || limit.aborted) throw error;
      await delay(volumeRetryMs);
    }
  }
}

function notAnAgent(container: string): TomoError {
  const label = `${AGENT_LABEL}=${LABEL_SET}`;
  return new TomoError(
    'SELF_PROTECTED',
    `Container ${container} does not carry the label ${label}; nothing was removed.`,
    { facts: { container } },
  );
}
