import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const DATABASE_FILE = 'tomo.db';

export function databaseFile(dataDir: string): string {
  return join(dataDir, DATABASE_FILE);
}

/** The program's own migrations. */
export function migrationsDir(): string {
  return fileURLToPath(new URL('../drizzle', import.meta.url));
}
