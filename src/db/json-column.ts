import { customType } from 'drizzle-orm/sqlite-core';
import type { z } from 'zod';

/**
 * A TEXT column holding JSON, parsed by `schema` whenever a row is read. Text that does not fit makes
 * the read fail with a DatabaseError of code `corrupt`.
 */
export function jsonColumn<T>(schema: z.ZodType<T>) {
  return customType<{ data: T; driverData: string }>({
    dataType: () => 'text',
    toDriver: (value) => JSON.stringify(value),
    fromDriver: (text) => schema.parse(JSON.parse(text)),
  });
}
