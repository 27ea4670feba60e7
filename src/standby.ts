import type { Config } from './config.ts';
import type { Fleet } from './fleet/fleet.ts';
import { StartError } from './start-error.ts';

/**
 * A second server of a data directory stands by for the first, which answers at its address for both.
 * Throws StartError (exit 1) if it was to listen elsewhere: nobody would answer there.
 */
export async function refuseOtherAddress(fleet: Fleet, config: Config): Promise<void> {
  const owner = await fleet.perform('describe_owner', {}, { actor: 'local', access: 'read' });
  const { hostname, port } = new URL(owner.url);
  if (Number(port) === config.port && hostname === config.host) return;
  throw new StartError(
    `tomo: process ${owner.pid} serves ${config.dataDir} at ${owner.url} already; end it, start with the same --host and --port to stand by for it, or choose another --data-dir`,
    1,
  );
}
