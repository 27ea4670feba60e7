import { TomoError } from '../../protocol/errors.ts';
import { pause } from '../pause.ts';
import type { ComposeContainer } from './compose-containers.ts';

const POLL_MS = 500;

export interface ReadyOptions {
  /** The containers as they are. */
  readonly list: () => Promise<readonly ComposeContainer[]>;
  /** How long it may take from now on. */
  readonly leftMs: () => number;
  readonly progress: (message: string, fraction: number) => void;
  readonly signal: AbortSignal;
}

/**
 * Asks until every container runs and is healthy, if it can tell, or has ended with 0.
 * @throws TomoError COMPOSE_FAILED when one ended otherwise or is unhealthy, COMMAND_TIMED_OUT
 */
export async function awaitReady(options: ReadyOptions): Promise<readonly ComposeContainer[]> {
  const { list, leftMs, progress, signal } = options;
  for (;;) {
    const containers = await list();
    const failed = containers.filter(hasFailed);
    if (failed.length > 0) throw notReady('COMPOSE_FAILED', failed);
    const waiting = containers.filter((container) => !isReady(container));
    if (waiting.length === 0) return containers;
    const left = leftMs();
    if (left === 0) throw notReady('COMMAND_TIMED_OUT', waiting);
    progress(`waiting for ${namesOf(waiting)}`, 1 - waiting.length / containers.length);
    await pause(Math.min(POLL_MS, left), signal);
  }
}

function isReady({ status, health, exit_code }: ComposeContainer): boolean {
  if (status === 'running') return health === null || health === 'healthy';
  return status === 'exited' && exit_code === 0;
}

function hasFailed({ status, health, exit_code }: ComposeContainer): boolean {
  const hasEnded = status === 'exited' && exit_code !== 0;
  return hasEnded || status === 'dead' || health === 'unhealthy';
}

function notReady(
  name: 'COMPOSE_FAILED' | 'COMMAND_TIMED_OUT',
  containers: readonly ComposeContainer[],
): TomoError {
  const states = containers.map((container) => `${container.name}: ${container.status_text}`);
  return new TomoError(
    name,
    `The project is up, but not ready: ${states.join('; ')}. docker.compose.logs shows what they said.`,
    { facts: { containers: containers.map((container) => container.name) } },
  );
}

function namesOf(containers: readonly ComposeContainer[]): string {
  return containers.map(({ name }) => name).join(', ');
}
