import { FLEET } from './audit-params.ts';
import type { Caller } from './fleet.ts';
import type { FleetContext } from './fleet-context.ts';
import type { ArgsOf, OperationResult } from './operations.ts';

/** Which servers' agents changed since a version; waits for a change if there is none. */
export async function waitForChanges(
  { hub }: FleetContext,
  { version, wait_seconds }: ArgsOf<'wait_for_changes'>,
  { signal }: Caller,
): Promise<OperationResult<'wait_for_changes'>> {
  const limit = AbortSignal.timeout(wait_seconds * 1_000);
  const either = signal === undefined ? limit : AbortSignal.any([signal, limit]);
  const { version: current, servers } = await hub.changes.since(version, either);
  const isKnown = servers !== null && !servers.includes(FLEET);
  return { version: current, server_ids: isKnown ? [...servers] : null };
}
