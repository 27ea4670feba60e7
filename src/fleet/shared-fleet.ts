import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Access } from '../../protocol/access.ts';
import { TomoError } from '../../protocol/errors.ts';
import { acquireOwnerLock, type OwnerLock } from '../db/owner-lock.ts';
import { databaseErrorsExplained } from './database-errors.ts';
import type { Caller, Fleet } from './fleet.ts';
import { guestMembership, type Membership, type Owner, ownerMembership } from './membership.ts';
import {
  type ArgsOf,
  OPERATIONS,
  type OperationName,
  type OperationResult,
  type Serving,
} from './operations.ts';
import { Relay } from './relay.ts';
import { relaySocketPath } from './relay-path.ts';
import { RemoteFleet } from './remote-fleet.ts';
import { unlessAborted } from './wait-limit.ts';

/** How often a process without an owner looks for one, or tries to become it. */
const JOIN_RETRY_MS = 50;
/** How long a failed take-over waits before the next. */
const TAKE_OVER_RETRY_MS = 2_000;
/** How long who handed over leaves the lock to others. */
const HAND_OVER_PAUSE_MS = 2_000;
/** How long a call waits for an owner. */
const OWNER_WAIT_MS = 5_000;
/** Attempts of an operation that may be repeated. */
const ATTEMPTS_COUNT = 3;

export interface SharedFleetOptions {
  readonly dataDir: string;
  /** A process that a client started over stdio takes over under the rules of the owner before it. */
  readonly inheritsRules: boolean;
  /**
   * Called with the lock held. `inherited`: the rules of the owner before, if there was one that this
   * process knew. Rejects if the port or the database cannot be had.
   */
  readonly startOwner: (inherited: Serving | undefined, handOver: () => void) => Promise<Owner>;
  readonly log: Logger;
}

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
  #inherited: Serving | undefined;
  #ownsNotBefore = 0;

  constructor(options: SharedFleetOptions) {
    this.#options = options;
    this.#socketPath = relaySocketPath(options.dataDir);
  }

  get role(): Membership['role'] | undefined {
    return this.#membership?.role;
  }

  /** The most that callers in this process may do. */
  get ceiling(): Access {
    return this.#membership?.ceiling ?? 'read';
  }

  /** Whether closing has to remove first what an installation made. */
  get isInstalling(): boolean {
    return this.#membership?.isInstalling() ?? false;
  }

  /** Joins for the first time; rejects if this process should own the directory and cannot. */
  async start(): Promise<Membership['role']> {
    const timeout = AbortSignal.timeout(2 * OWNER_WAIT_MS);
    const membership = await this.#join(AbortSignal.any([timeout, this.#stopping.signal]));
    if (membership === undefined) throw unreachable(this.#options.dataDir);
    this.#enter(membership);
    this.#running = this.#follow(membership);
    return membership.role;
  }

  /** Waits until this process owns the directory; false once `signal` aborts. */
  async owned(signal: AbortSignal): Promise<boolean> {
    while (this.role !== 'owner' && !signal.aborted) await delay(JOIN_RETRY_MS);
    return this.role === 'owner';
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
    while (!signal.aborted) {
      const lock = await this.#tryLock();
      if (lock !== undefined) return this.#own(lock);
      const remote = await RemoteFleet.connect(this.#socketPath).catch(() => undefined);
      if (remote !== undefined) {
        if (this.#options.inheritsRules) this.#inherited = remote.owner.serving;
        return guestMembership(remote);
      }
      await delay(JOIN_RETRY_MS);
    }
    return undefined;
  }

  async #tryLock(): Promise<OwnerLock | undefined> {
    if (performance.now() < this.#ownsNotBefore) return undefined;
    return databaseErrorsExplained(() => acquireOwnerLock(this.#options.dataDir));
  }

  async #own(lock: OwnerLock): Promise<Membership> {
    const { startOwner, log } = this.#options;
    let owner: Owner | undefined;
    try {
      owner = await startOwner(this.#inherited, () => this.#handOver());
      return ownerMembership(owner, await Relay.listen(owner, this.#socketPath, log), lock);
    } catch (error) {
      await owner?.stop();
      await owner?.close();
      lock.release();
      throw error;
    }
  }

  /** Lets the directory go to whoever asked, once the answer to the request is out. */
  #handOver(): void {
    this.#ownsNotBefore = performance.now() + HAND_OVER_PAUSE_MS;
    setImmediate(() => void this.#membership?.leave());
  }

  async #current(signal: AbortSignal | undefined): Promise<Fleet> {
    if (this.#membership !== undefined) return this.#membership.fleet;
    const waits = [AbortSignal.timeout(OWNER_WAIT_MS), ...(signal === undefined ? [] : [signal])];
    const fleet = await unlessAborted(this.#joined.promise, AbortSignal.any(waits));
    if (fleet !== undefined) return fleet;
    if (signal?.aborted === true) {
      throw new TomoError('COMMAND_CANCELLED', 'The call was cancelled before it was sent.');
    }
    throw unreachable(this.#options.dataDir);
  }
}

function unreachable(dataDir: string): TomoError {
  return new TomoError(
    'OWNER_UNREACHABLE',
    `No process answers for the data directory ${dataDir}. If a Tomo process of that directory hangs, end it; then try again.`,
    { facts: { data_dir: dataDir } },
  );
}
