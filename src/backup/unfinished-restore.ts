import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { DATABASE_FILE } from '../database-file.ts';
import { BACKED_UP_DIRS } from './backup-archive.ts';

/**
 * A restore puts everything into a directory of its own. The rename of that directory to this name is
 * the moment from which on the restore holds; what then remains are renames, which whoever comes next
 * finishes.
 */
const READY_DIR = 'restore.ready';
const STAGING_DIR = 'restore.unfinished';
const PLAN_NAME = 'restore.json';

/** SQLite's files beside the database, and what lies in a data directory of its own accord. */
const REPLACED = [
  `${DATABASE_FILE}-wal`,
  `${DATABASE_FILE}-shm`,
  DATABASE_FILE,
  'token',
  ...Object.keys(BACKED_UP_DIRS),
] as const;

const restorePlanSchema = z.object({
  /** Part of the names that the replaced files get. */
  suffix: z.string().regex(/^\.before-restore-[0-9TZ]+$/),
  /** What the backup has of the data directory's names; the others are moved away all the same. */
  present: z.array(z.string()),
});
export type RestorePlan = z.output<typeof restorePlanSchema>;

/** An empty directory for the files of a restore; what one that was given up left is gone. */
export function newStagingDir(dataDir: string): string {
  removeStagingDir(dataDir);
  const dir = join(dataDir, STAGING_DIR);
  for (const name of ['', ...Object.keys(BACKED_UP_DIRS)])
    mkdirSync(join(dir, name), { mode: 0o700 });
  return dir;
}

export function removeStagingDir(dataDir: string): void {
  rmSync(join(dataDir, STAGING_DIR), { recursive: true, force: true });
}

/**
 * Makes the files of the staging directory those of the data directory, whatever happens from now on.
 * Answers what was moved aside.
 */
export function commitRestore(dataDir: string, plan: RestorePlan): string[] {
  const staging = join(dataDir, STAGING_DIR);
  writeFileSync(join(staging, PLAN_NAME), JSON.stringify(plan), { flush: true, mode: 0o600 });
  for (const name of ['', ...Object.keys(BACKED_UP_DIRS)]) syncDirectory(join(staging, name));
  renameSync(staging, join(dataDir, READY_DIR));
  syncDirectory(dataDir);
  return finishRestore(dataDir);
}

export function hasUnfinishedRestore(dataDir: string): boolean {
  return existsSync(join(dataDir, READY_DIR));
}

/**
 * Finishes a restore that was cut off, if there is one; to be called with the owner lock held. Every
 * step can be repeated. Answers the files that were moved aside.
 */
export function finishRestore(dataDir: string): string[] {
  if (!hasUnfinishedRestore(dataDir)) return [];
  const ready = join(dataDir, READY_DIR);
  const plan = restorePlanSchema.parse(JSON.parse(readFileSync(join(ready, PLAN_NAME), 'utf8')));
  const moved = REPLACED.flatMap((name) => replace(dataDir, ready, name, plan));
  syncDirectory(dataDir);
  // By one rename: half removed, it would stand for a restore that nobody can finish.
  removeStagingDir(dataDir);
  renameSync(ready, join(dataDir, STAGING_DIR));
  removeStagingDir(dataDir);
  return moved;
}

function replace(dataDir: string, ready: string, name: string, plan: RestorePlan): string[] {
  const fresh = join(ready, name);
  const restored = plan.present.includes(name);
  if (restored && !existsSync(fresh)) return [];
  const target = join(dataDir, name);
  const aside = join(dataDir, asideName(name, plan.suffix));
  const moved = existsSync(target);
  if (moved) renameSync(target, aside);
  if (restored) renameSync(fresh, target);
  return moved ? [aside] : [];
}

/** SQLite looks for the log of a database under the database's own name. */
function asideName(name: string, suffix: string): string {
  const end = name.startsWith(DATABASE_FILE) ? name.slice(DATABASE_FILE.length) : '';
  return `${name.slice(0, name.length - end.length)}${suffix}${end}`;
}

/** Not every platform can open a directory; there a rename is durable in its own time. */
function syncDirectory(dir: string): void {
  if (process.platform === 'win32') return;
  const descriptor = openSync(dir, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
