import { setTimeout as delay } from 'node:timers/promises';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { isMissing } from '../../docker-engine/docker-errors.ts';
import { jsonLines } from '../../docker-engine/json-lines.ts';
import type { CommandContext } from '../commands/handler.ts';
import { EngineOutage } from './engine-outage.ts';

const POLL_MS = 500;

/**
 * Hands the engine's samples of a container to `take`, about one a second, over restarts of the engine;
 * resolves when the container has been removed.
 * @param container its id: the name may change
 */
export async function streamStats(
  docker: DockerEngine,
  container: string,
  { signal, output }: Pick<CommandContext, 'signal' | 'output'>,
  take: (sample: unknown) => Promise<void>,
): Promise<void> {
  const outage = new EngineOutage({ signal, output });
  const request = {
    path: `/containers/${container}/stats`,
    query: { stream: true },
    subject: { kind: 'container', name: container } as const,
    signal,
  };
  for (;;) {
    try {
      await docker.stream(request, async (bytes) => {
        outage.over();
        for await (const { value } of jsonLines(bytes)) await take(value);
      });
      await delay(POLL_MS, undefined, { signal });
    } catch (error) {
      if (isMissing(error)) return;
      await outage.wait(error);
    }
  }
}
