import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Whether every one of these programs is on the PATH. */
export function isInstalled(...programs: readonly string[]): boolean {
  const folders = (process.env['PATH'] ?? '').split(':');
  return programs.every((program) => folders.some((folder) => existsSync(join(folder, program))));
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}
