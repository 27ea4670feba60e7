import { TomoError } from '../../protocol/errors.ts';
import { type GivenAddress, type HubAddress, isSecure } from './hub-address.ts';

/** Where the hub tells its agent to move. */
export interface MoveTarget {
  readonly url: string;
  /** null: any certificate that CAs vouch for; undefined: as it is at the present address. */
  readonly fingerprint: string | null | undefined;
}

/**
 * The address to move to; undefined if the agent is there.
 * @param given what the environment says, so that a restart knows whether a person has changed it since
 * @throws TomoError INVALID_PARAMS for a pin on an address that has no certificate
 */
export function targetAddress(
  target: MoveTarget,
  present: HubAddress,
  given: GivenAddress,
): HubAddress | undefined {
  const { url } = target;
  if (typeof target.fingerprint === 'string' && !isSecure(url)) {
    const text = 'server_fingerprint: a ws:// address has no certificate; use wss://.';
    throw new TomoError('INVALID_PARAMS', text);
  }
  const pin = target.fingerprint === undefined ? present.fingerprint : target.fingerprint;
  const fingerprint = isSecure(url) ? (pin ?? undefined) : undefined;
  if (url === present.url && fingerprint === present.fingerprint) return undefined;
  return { url, fingerprint, movedFrom: given.url === undefined ? undefined : given };
}
