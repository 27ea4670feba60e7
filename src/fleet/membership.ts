import { isDeepStrictEqual } from 'node:util';
import type { Access } from '../../protocol/access.ts';
import type { OwnerLock } from '../db/owner-lock.ts';
import type { Fleet } from './fleet.ts';
import type { Serving } from './operations.ts';
import type { Relay } from './relay.ts';
import type { RemoteFleet } from './remote-fleet.ts';

/** What the owner of a data directory runs: database, hub, port. */
export interface Owner {
  readonly fleet: Fleet;
  /** The most that callers may do, other than this program itself. */
  readonly ceiling: Access;
  /** Whether something is being put on a server, which takes a while to be undone. */
  readonly isInstalling: () => boolean;
  /** Sends agents away and ends their calls; answers can still be relayed. */
  stop(): Promise<void>;
  /** Closes database and port. */
  close(): Promise<void>;
}

/** This process's part in a data directory. */
export interface Membership {
  readonly role: 'owner' | 'guest';
  readonly fleet: Fleet;
  /** Held against callers here; guests are held to it by their owner. */
  readonly ceiling: Access;
  readonly isInstalling: () => boolean;
  /** Resolves when this owner is gone. */
  readonly ended: Promise<void>;
  leave(): Promise<void>;
}

export function guestMembership(remote: RemoteFleet): Membership {
  return {
    role: 'guest',
    fleet: remote,
    ceiling: 'admin',
    isInstalling: () => false,
    ended: remote.closed,
    leave: async () => {
      remote[Symbol.dispose]();
      await remote.closed;
    },
  };
}

export function ownerMembership(owner: Owner, relay: Relay, lock: OwnerLock): Membership {
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  let leaving: Promise<void> | undefined;
  const leave = async (): Promise<void> => {
    await owner.stop();
    await relay[Symbol.asyncDispose]();
    await owner.close();
    // Last, so that the next owner finds database and port free.
    lock.release();
    resolve();
  };
  return {
    role: 'owner',
    fleet: owner.fleet,
    ceiling: owner.ceiling,
    isInstalling: owner.isInstalling,
    ended,
    leave: () => (leaving ??= leave()),
  };
}

/** Whether two processes would serve a data directory alike. */
export function servesAlike(a: Serving, b: Serving): boolean {
  return isDeepStrictEqual({ ...a }, { ...b });
}
