import { grants } from '../../protocol/access.ts';
import { TomoError } from '../../protocol/errors.ts';
import type { Caller } from './fleet.ts';

/** Operations that change the fleet itself are for callers with admin access only. */
export function requireAdmin(caller: Caller, operation: string): void {
  if (grants(caller.access, 'admin')) return;
  throw new TomoError(
    'ACCESS_DENIED',
    `${operation} changes the fleet, and this server runs with --read-only or gives you less than admin access. Ask whoever runs it, or start it without --read-only.`,
    { facts: { operation } },
  );
}
