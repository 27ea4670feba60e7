import { servesAlike } from './fleet/membership.ts';
import type { Serving } from './fleet/operations.ts';
import type { SharedFleet } from './fleet/shared-fleet.ts';
import { StartError } from './start-error.ts';

const CALLER = { actor: 'local', access: 'admin' } as const;
const HAND_OVER_MAX_MS = 5_000;

/**
 * A server that finds the data directory owned takes it from a process that a client started over
 * stdio, and stands by for another server that serves alike. Throws StartError (exit 1) if that one
 * serves otherwise: nobody would answer as this one was told to.
 */
export async function claimOrStandBy(
  fleet: SharedFleet,
  dataDir: string,
  serving: Serving,
): Promise<void> {
  const owner = await fleet.perform('describe_owner', {}, CALLER);
  if (owner.kind === 'stdio') {
    await fleet.perform('hand_over', {}, CALLER);
    const taken = await fleet.owned(AbortSignal.timeout(HAND_OVER_MAX_MS));
    if (taken) return;
    throw new StartError(
      `tomo: process ${owner.pid} does not let go of ${dataDir}; end it and start again`,
      1,
    );
  }
  if (servesAlike(owner.serving, serving)) return;
  throw new StartError(
    `tomo: process ${owner.pid} serves ${dataDir} at ${owner.url} already, with other flags or token; end it, start with the same ones to stand by for it, or choose another --data-dir`,
    1,
  );
}
