import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import type { OwnContainer } from './own-container.ts';

export interface EndForGoodOptions {
  readonly own: OwnContainer;
  readonly engine: DockerEngine;
  readonly log: Logger;
}

const STOP_SECONDS = 5;
const IDLE_TURN_MS = 24 * 60 * 60 * 1_000;
const INSTEAD = 'It stays idle until it is stopped.';

/**
 * Ends an agent whose container's restart policy would start it again: asks the engine to stop the
 * container, which the policy respects. Idle where that cannot be, until the signal aborts.
 */
export async function endForGood(
  { own, engine, log }: EndForGoodOptions,
  signal: AbortSignal,
): Promise<void> {
  try {
    const { id, name } = await own.ours(INSTEAD, signal);
    log.info({ container: name }, 'asking the engine to stop this container');
    await engine.request({
      method: 'POST',
      path: `/containers/${id}/stop`,
      query: { t: STOP_SECONDS },
      subject: { kind: 'container', name },
      signal,
    });
  } catch (error) {
    // The stop arrives here as SIGTERM before the engine has answered.
    if (!signal.aborted) log.warn({ err: error }, 'not stopped: idle from now on');
  }
  while (!signal.aborted) await delay(IDLE_TURN_MS, undefined, { signal }).catch(() => undefined);
}
