import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { EVENT_METHOD } from '../../protocol/json-rpc.ts';
import { MOVE_MAX_MS, RETIRE_MAX_MS } from '../../protocol/limits.ts';
import type { RunningCommands } from '../running-commands.ts';
import type { HubAddress } from './hub-address.ts';
import type { Session } from './session.ts';

export interface MoveLimits {
  /** How long running commands may hold the move up. */
  readonly idleMaxMs: number;
  /** What the new address may take to welcome the agent. */
  readonly moveMaxMs: number;
}

export interface MoveOptions {
  readonly from: Session;
  readonly to: HubAddress;
  readonly connect: (signal: AbortSignal) => Promise<Session>;
  readonly commands: RunningCommands;
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly limits?: Partial<MoveLimits>;
}

const DEFAULT_LIMITS: MoveLimits = { idleMaxMs: RETIRE_MAX_MS, moveMaxMs: MOVE_MAX_MS };

/**
 * Connects to another address of the hub beside the session there is, which is closed only then. Gives
 * undefined, and tells the hub why, if the agent has to stay where it is.
 */
export async function move(options: MoveOptions): Promise<Session | undefined> {
  const { from, to, connect, commands, signal, log } = options;
  const { idleMaxMs, moveMaxMs } = { ...DEFAULT_LIMITS, ...options.limits };
  const waited = delay(idleMaxMs, 'waited' as const, { ref: false });
  const lost = from.closed.then(() => 'lost' as const);
  if ((await Promise.race([commands.idle(), waited, lost])) === 'lost') {
    // The hub asks again at the next connection.
    log.info({ server_url: to.url }, 'not moved: the connection was lost before');
    return undefined;
  }
  const limit = AbortSignal.timeout(moveMaxMs);
  const stay = commands.leave();
  try {
    const session = await connect(AbortSignal.any([signal, limit]));
    log.info({ server_url: to.url }, 'moved to another address of the hub');
    await from.retire(0);
    return session;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const cause = limit.aborted ? `not welcomed there within ${moveMaxMs / 1_000} s` : reason;
    if (!signal.aborted) log.warn({ server_url: to.url, cause }, 'not moved');
    stay();
    from.notify(EVENT_METHOD, { type: 'move_failed', server_url: to.url, cause });
    return undefined;
  }
}
