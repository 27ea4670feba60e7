import type { ServerContext } from '@modelcontextprotocol/server';
import type { Caller } from '../fleet/fleet.ts';

/** At most so many notifications go to a client; what comes in between is left out. */
const EVERY_MS = 500;

/** Tells the client of progress, if it asked for that. */
export function progressTo(context: ServerContext): Caller['progress'] {
  const progressToken = context.mcpReq._meta?.progressToken;
  if (progressToken === undefined) return undefined;
  let steps = 0;
  let saidAt = Number.NEGATIVE_INFINITY;
  let said = '';
  return (message, fraction) => {
    const isStep = fraction === undefined && message !== said;
    const now = performance.now();
    if (!isStep && now - saidAt < EVERY_MS) return;
    saidAt = now;
    said = message;
    steps += 1;
    const percent = fraction === undefined ? '' : ` (${Math.round(fraction * 100)} %)`;
    const params = { progressToken, progress: steps, message: `${message}${percent}` };
    // A client that has gone needs no progress.
    context.mcpReq.notify({ method: 'notifications/progress', params }).catch(() => undefined);
  };
}
