import { SdkError, SdkErrorCode } from '@modelcontextprotocol/server';
import { CallerGone } from '../fleet/fleet.ts';

/** What there is to know of one call; of the SDK's ServerContext. */
interface Call {
  readonly mcpReq: { readonly signal: AbortSignal };
  readonly http?: unknown;
  readonly sessionId?: string | undefined;
}

/**
 * Aborted when the client gives a call up. Its connection closing is that only where the protocol has
 * no other way to say so, which is over HTTP since revision 2026-07-28, and of a client that may not
 * call any more (`isWelcome`); else the reason is a `CallerGone`.
 */
export function callerSignal(
  { mcpReq: { signal }, http, sessionId }: Call,
  isWelcome: () => boolean,
): AbortSignal {
  const told = new AbortController();
  const tell = (): void => {
    const isCancel = !isClosed(signal) || (http !== undefined && sessionId === undefined);
    told.abort(isCancel || !isWelcome() ? undefined : new CallerGone());
  };
  signal.addEventListener('abort', tell, { once: true });
  if (signal.aborted) tell();
  return told.signal;
}

function isClosed({ reason }: AbortSignal): boolean {
  return reason instanceof SdkError && reason.code === SdkErrorCode.ConnectionClosed;
}
