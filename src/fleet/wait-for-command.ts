import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { CommandStep } from '../agent-hub/command-outputs.ts';
import type { Caller } from './fleet.ts';
import type { FleetContext } from './fleet-context.ts';
import { unlessAborted, WaitLimit } from './wait-limit.ts';

/** So often a caller that waits is told how far a command is, and its output is looked at. */
const LOOK_EVERY_MS = 500;

export interface CommandWait<T> {
  readonly ms: number;
  readonly caller: Caller;
  /** Resolves with the end of the command, at the latest when `signal` aborts. */
  readonly end: (signal: AbortSignal) => Promise<T | undefined>;
  /** Asked when there is something new: whether the caller should have it at once. */
  readonly isEnough?: (() => boolean) | undefined;
}

/**
 * Waits until a command has ended, there is output that its reader has to take, the time is over, or
 * the caller gives up; answers with the end, if it came. Meanwhile the caller is told how far it is.
 */
export async function waitForCommand<T>(
  context: FleetContext,
  id: string,
  { ms, caller, end, isEnough }: CommandWait<T>,
): Promise<T | undefined> {
  using limit = new WaitLimit(ms, caller.signal);
  const { signal } = limit;
  const { progress } = caller;
  const ended = unlessAborted(end(signal), signal);
  if (progress === undefined && isEnough === undefined) return await ended;
  return await Promise.race([ended, watch(context, id, { signal, isEnough, progress })]);
}

interface Watch extends Pick<CommandWait<unknown>, 'isEnough'> {
  readonly signal: AbortSignal;
  readonly progress: Caller['progress'];
}

async function watch(
  { hub: { outputs } }: FleetContext,
  id: string,
  { signal, isEnough = () => false, progress }: Watch,
): Promise<undefined> {
  let said: CommandStep | undefined;
  while (!signal.aborted && !isEnough()) {
    const lookedAt = performance.now();
    const step = outputs.lastStep(id);
    if (step !== undefined && !isDeepStrictEqual(step, said)) {
      progress?.(step.message, step.fraction);
      said = step;
    } else {
      await outputs.changed(id, signal).catch(() => undefined);
      // Output that is waited for is not held up: a reader of a fast stream would fall behind.
      if (isEnough()) return;
    }
    const pauseMs = Math.max(0, lookedAt + LOOK_EVERY_MS - performance.now());
    await delay(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
  }
}
