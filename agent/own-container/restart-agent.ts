import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import type { OwnContainer } from './own-container.ts';

export interface RestartOptions {
  readonly own: OwnContainer;
  readonly engine: DockerEngine;
  /** Another program of ours started this one, and starts it again when it ends. */
  readonly hasParent: boolean;
  /** Ends this process in good order. */
  readonly stop: () => void;
  readonly onRestartFailure: (error: unknown) => void;
}

const STOP_SECONDS = 5;
const INSTEAD =
  'Restart it where it runs: "docker restart" with its container’s name, or its service or process.';

/**
 * Makes sure that the agent can be restarted; what is returned does it.
 * @throws TomoError NOT_CONTAINERISED
 */
export async function prepareRestart(
  { own, engine, hasParent, stop, onRestartFailure }: RestartOptions,
  signal: AbortSignal,
): Promise<() => void> {
  if (hasParent) return stop;
  const { id, name } = await own.ours(INSTEAD, signal);
  return () => {
    // The engine goes on with it while this process ends, which takes the request with it.
    engine
      .request({
        method: 'POST',
        path: `/containers/${id}/restart`,
        query: { t: STOP_SECONDS },
        subject: { kind: 'container', name },
      })
      .catch(onRestartFailure);
  };
}
