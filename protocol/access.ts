import { z } from 'zod';

/** Access levels from the lowest to the highest: read < operate < admin. */
export const ACCESS_LEVELS = ['read', 'operate', 'admin'] as const;

export const accessSchema = z.enum(ACCESS_LEVELS);
export type Access = z.infer<typeof accessSchema>;

/** Whether `granted` reaches up to `needed`. */
export function grants(granted: Access, needed: Access): boolean {
  return ACCESS_LEVELS.indexOf(granted) >= ACCESS_LEVELS.indexOf(needed);
}

/** The lower of two levels. */
export function lowerAccess(a: Access, b: Access): Access {
  return grants(a, b) ? b : a;
}
