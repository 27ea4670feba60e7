import { type Access, grants } from '../../protocol/access.ts';
import { findCommand } from '../../protocol/commands/catalogue.ts';
import { requiredAccess } from '../../protocol/commands/required-access.ts';
import type { CommandRow } from '../db/command-repository.ts';

/** The access that it takes to have run a command; what is no agent's method changes the fleet. */
export function accessOf({ method, params }: Pick<CommandRow, 'method' | 'params'>): Access {
  const entry = findCommand(method);
  return entry === undefined ? 'admin' : requiredAccess(entry, params);
}

/** Whether a caller could have run it, and may see what it was given and what it answered. */
export function mayRead(row: Pick<CommandRow, 'method' | 'params'>, access: Access): boolean {
  return grants(access, accessOf(row));
}
