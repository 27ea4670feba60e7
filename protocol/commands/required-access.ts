import { type Access, grants } from '../access.ts';
import type { CommandEntry } from './define-command.ts';

/** The least access for a call with these params: the method's own, or that of a param that needs more. */
export function requiredAccess(
  entry: CommandEntry,
  params: Readonly<Record<string, unknown>>,
): Access {
  let needed = entry.access;
  for (const [name, level] of Object.entries(entry.paramAccess)) {
    const value = params[name];
    if (value !== undefined && value !== false && !grants(needed, level)) needed = level;
  }
  return needed;
}
