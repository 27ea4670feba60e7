import { grants } from '../../protocol/access.ts';
import { TomoError } from '../../protocol/errors.ts';
import type { Caller } from './fleet.ts';

/** Operations that change the fleet itself are for callers with admin access only. */
export function requireAdmin(caller: Caller, operation: string): void {
  if (grants(caller.access, 'admin')) return;
  throw new TomoError(
    'ACCESS_DENIED',
    `${operation} changes the fleet, which needs "admin", and you have "${caller.access}": your token gives no more, or Tomo runs with --read-only. Ask whoever runs it for a token of that level.`,
    { facts: { operation } },
  );
}
