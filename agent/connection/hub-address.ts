import { hubUrlSchema } from '../../protocol/hub-address.ts';
import { ConfigurationError } from '../config.ts';
import type { AgentState } from '../identity/state.ts';

/** What the environment says of the hub. */
export interface GivenAddress {
  readonly url: string | undefined;
  /** As `plainFingerprint` gives it; undefined: any certificate that CAs vouch for. */
  readonly fingerprint: string | undefined;
}

/** Where the hub is dialled. */
export interface HubAddress extends GivenAddress {
  readonly url: string;
  /** What the environment said when the hub moved this agent; undefined if it is dialled as given. */
  readonly movedFrom?: GivenAddress | undefined;
}

type Stored = Pick<
  AgentState,
  'server_url' | 'server_fingerprint' | 'moved_from' | 'moved_from_fingerprint'
>;

/**
 * The environment's address before the stored one, unless the hub moved this agent away from exactly
 * that address. Throws ConfigurationError.
 */
export function chooseHub(given: GivenAddress, stored: Stored | undefined): HubAddress {
  const address = choose(given, stored);
  if (address.fingerprint !== undefined && !isSecure(address.url)) {
    throw new ConfigurationError(
      'SERVER_FINGERPRINT: must not be set with a ws:// URL, which has no certificate; use wss://',
    );
  }
  return address;
}

export function isSecure(url: string): boolean {
  return url.toLowerCase().startsWith('wss:');
}

function choose(given: GivenAddress, stored: Stored | undefined): HubAddress {
  const { url, fingerprint } = given;
  const kept = hubUrlSchema.safeParse(stored?.server_url).data;
  if (kept !== undefined && stored !== undefined && isMovedFrom(given, stored)) {
    return { url: kept, fingerprint: stored.server_fingerprint, movedFrom: given };
  }
  if (url !== undefined) return { url, fingerprint };
  if (kept !== undefined)
    return { url: kept, fingerprint: fingerprint ?? stored?.server_fingerprint };
  throw new ConfigurationError(
    "SERVER_URL: must be set to the hub's whole ws:// or wss:// URL, because DATA_DIR holds none",
  );
}

function isMovedFrom({ url, fingerprint }: GivenAddress, stored: Stored): boolean {
  return (
    url !== undefined && url === stored.moved_from && fingerprint === stored.moved_from_fingerprint
  );
}
