import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Access } from '../../protocol/access.ts';
import { TomoError } from '../../protocol/errors.ts';
import { acquireOwnerLock, type OwnerLock } from '../db/owner-lock.ts';
import { databaseErrorsExplained } from './database-errors.ts';
import type { Caller, Fleet } from './fleet.ts';
import { type ArgsOf, OPERATIONS, type OperationName, type OperationResult } from './operations.ts';
import { Relay } from './relay.ts';
import { relaySocketPath } from './relay-path.ts';
import { RemoteFleet } from './remote-fleet.ts';

/** How often a process without an owner looks for one, or tries to become it. */
const JOIN_RETRY_MS = 50;
/** How long a failed take-over waits before the next. */
const TAKE_OVER_RETRY_MS = 2_000;
/** How long a call waits for an owner. */
const OWNER_WAIT_MS = 5_000;
/** Attempts of an operation that may be repeated. */
const ATTEMPTS_COUNT = 3;

/** What the owner of a data directory runs: database, hub, port. */
export interface Owner {
  readonly fleet: Fleet;
  /** The most that other processes may do through this one. */
  readonly ceiling: Access;
  /** Sends agents away and ends their calls; answers can still be relayed. */
  stop(): Promise<void>;
  /** Closes database and port. */
  close(): Promise<void>;
}

export interface SharedFleetOptions {
  readonly dataDir: string;
  /** Called with the lock held. Rejects if the port or the database cannot be had. */
  readonly startOwner: () => Promise<Owner>;
  readonly log: Logger;
}

type Role = 'owner' | 'guest';

/**
 * The fleet of a data directory, whoever owns it: this process if it holds the lock, else the process
 * that does. When the owner ends, the processes that are left race for the lock, and calls wait.
 */
export class SharedFleet implements Fleet {
  readonly #options: SharedFleetOptions;
  readonly #socketPath: string;
  readonly #stopping = new AbortController();
  #joined = Promise.withResolvers<Fleet>();
  #membership: Membership | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: SharedFleetOptions) {
    this.#options = options;
    this.#socketPath = relaySocketPath(options.dataDir);
  }

  get role(): Role | undefined {
    return this.#membership?.role;
  }

  /** Joins for the first time; rejects if this process should own the directory and cannot. */
  async start(): Promise<Role> {
    const membership = await this.#join(AbortSignal.timeout(2 * OWNER_WAIT_MS));
    if (membership === undefined) throw unreachable(this.#options.dataDir);
    this.#enter(membership);
    this.#running = this.#follow(membership);
    return membership.role;
  }

  async perform<N extends OperationName>(
    name: N,
    args: ArgsOf<N>,
    caller: Caller,
  ): Promise<OperationResult<N>> {
    for (let attempt = 1; ; attempt += 1) {
      const fleet = await this.#current(caller.signal);
      try {
        return await fleet.perform(name, args, caller);
      } catch (error) {
        const gone = error instanceof TomoError && error.name === 'OWNER_UNREACHABLE';
        if (!gone || !OPERATIONS[name].retry || attempt >= ATTEMPTS_COUNT) throw error;
      }
    }
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#membership?.leave();
    await this.#running;
  }

  /** Stays a member of whatever owner there is until `close`. */
  async #follow(first: Membership): Promise<void> {
    let membership: Membership | undefined = first;
    while (membership !== undefined) {
      await membership.ended;
      if (this.#stopping.signal.aborted) return;
      this.#membership = undefined;
      this.#joined = Promise.withResolvers();
      membership = await this.#rejoin();
      if (membership !== undefined) this.#enter(membership);
    }
  }

  async #rejoin(): Promise<Membership | undefined> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        return await this.#join(signal);
      } catch (error) {
        this.#options.log.error(
          { err: error },
          'cannot take over the data directory; trying again',
        );
        await delay(TAKE_OVER_RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
    return undefined;
  }

  #enter(membership: Membership): void {
    this.#membership = membership;
    this.#joined.resolve(membership.fleet);
    this.#options.log.info({ role: membership.role }, 'joined the data directory');
  }

  /** Becomes the owner or a guest; undefined once `signal` aborts. */
  async #join(signal: AbortSignal): Promise<Membership | undefined> {
    while (!signal.aborted && !this.#stopping.signal.aborted) {
      const lock = await databaseErrorsExplained(() => acquireOwnerLock(this.#options.dataDir));
      if (lock !== undefined) return this.#own(lock);
      const remote = await RemoteFleet.connect(this.#socketPath).catch(() => undefined);
      if (remote !== undefined) return guestMembership(remote);
      await delay(JOIN_RETRY_MS);
    }
    return undefined;
  }

  async #own(lock: OwnerLock): Promise<Membership> {
    const { startOwner, log } = this.#options;
    try {
      const owner = await startOwner();
      const relay = await Relay.listen(owner, this.#socketPath, log);
      return ownerMembership(owner, relay, lock);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  async #current(signal: AbortSignal | undefined): Promise<Fleet> {
    if (this.#membership !== undefined) return this.#membership.fleet;
    const waits = [AbortSignal.timeout(OWNER_WAIT_MS), ...(signal === undefined ? [] : [signal])];
    const fleet = await Promise.race([this.#joined.promise, aborted(AbortSignal.any(waits))]);
    if (fleet !== undefined) return fleet;
    throw unreachable(this.#options.dataDir);
  }
}

interface Membership {
  readonly role: Role;
  readonly fleet: Fleet;
  /** Resolves when this owner is gone. */
  readonly ended: Promise<void>;
  leave(): Promise<void>;
}

function guestMembership(remote: RemoteFleet): Membership {
  return {
    role: 'guest',
    fleet: remote,
    ended: remote.closed,
    leave: async () => {
      remote[Symbol.dispose]();
      await remote.closed;
    },
  };
}

function ownerMembership(owner: Owner, relay: Relay, lock: OwnerLock): Membership {
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  return {
    role: 'owner',
    fleet: owner.fleet,
    ended,
    leave: async () => {
      await owner.stop();
      await relay[Symbol.asyncDispose]();
      await owner.close();
      // Last, so that the next owner finds database and port free.
      lock.release();
      resolve();
    },
  };
}

function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}

function unreachable(dataDir: string): TomoError {
  return new TomoError(
    'OWNER_UNREACHABLE',
    `No process answers for the data directory ${dataDir}. If a Tomo process of that directory hangs, end it; then try again.`,
    { facts: { data_dir: dataDir } },
  );
}
