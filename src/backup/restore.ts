import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { prepareDataDir, unwritable } from '../data-dir.ts';
import { DATABASE_FILE, databaseFile, migrationsDir } from '../database-file.ts';
import { DatabaseError } from '../db/errors.ts';
import { acquireOwnerLock, type OwnerLock } from '../db/owner-lock.ts';
import { verifyDatabase } from '../db/snapshot.ts';
import { StartError } from '../start-error.ts';
import type { BackupManifest } from './backup-archive.ts';
import { backupManifest, extractBackup } from './extract-backup.ts';
import {
  commitRestore,
  hasUnfinishedRestore,
  newStagingDir,
  removeStagingDir,
} from './unfinished-restore.ts';

/** What `tomo restore` did. */
export interface RestoreSummary {
  /** When the backup was made (ISO 8601, UTC), and by which version. */
  readonly createdAt: string;
  readonly version: string;
  /** Where the files that were there before are, absolute. */
  readonly movedAside: readonly string[];
  /** What a person should know or do next, a sentence each. */
  readonly advice: readonly string[];
}

/**
 * Makes a backup the content of a data directory that no process uses. What is there is moved aside,
 * and a database only with `replace`. Throws StartError; everything is as it was then, or, if the
 * restore was cut off late, it is finished when Tomo uses the directory next.
 */
export async function restore(
  dataDir: string,
  file: string,
  { replace }: { readonly replace: boolean },
): Promise<RestoreSummary> {
  // Whoever names the wrong file is not left with a new data directory.
  const manifest = await backupManifest(file);
  prepareDataDir(dataDir);
  using _lock = lockOf(dataDir);
  if (!replace && existsSync(databaseFile(dataDir))) throw occupied(dataDir);
  try {
    await stage(dataDir, file, manifest);
    return summaryOf(manifest, commit(dataDir, manifest));
  } catch (error) {
    removeStagingDir(dataDir);
    throw refused(dataDir, file, error);
  }
}

/** Puts the backup's files into the staging directory, and finds them sound. */
async function stage(dataDir: string, file: string, manifest: BackupManifest): Promise<void> {
  const staging = newStagingDir(dataDir);
  await extractBackup(file, manifest, staging);
  verifyDatabase(join(staging, DATABASE_FILE), migrationsDir());
}

/** Answers what was moved aside. */
function commit(dataDir: string, { members }: BackupManifest): string[] {
  const present = new Set(members.map(({ name }) => name.split('/')[0] ?? name));
  const time = new Date().toISOString().replace(/[^0-9TZ]/g, '');
  return commitRestore(dataDir, { suffix: `.before-restore-${time}`, present: [...present] });
}

function lockOf(dataDir: string): OwnerLock {
  try {
    const lock = acquireOwnerLock(dataDir);
    if (lock !== undefined) return lock;
  } catch (error) {
    throw unwritable(dataDir, error);
  }
  throw new StartError(
    `tomo restore: a Tomo process uses ${dataDir}; end every "tomo", "tomo serve" and quickstart of this directory, then restore`,
    1,
  );
}

function occupied(dataDir: string): StartError {
  return new StartError(
    `tomo restore: there is a database in ${dataDir} already; --replace moves it and what belongs to it aside`,
    1,
  );
}

function refused(dataDir: string, file: string, error: unknown): StartError {
  if (error instanceof StartError) return error;
  if (!(error instanceof DatabaseError)) return cutOff(dataDir, error);
  const reason =
    error.code === 'newer'
      ? 'was made by a newer Tomo; update this one, then restore'
      : `holds a database that cannot be used (${error.message}); take another backup`;
  return new StartError(`tomo restore: ${file} ${reason}`, 1, error);
}

function cutOff(dataDir: string, cause: unknown): StartError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const state = hasUnfinishedRestore(dataDir)
    ? 'what is left of the restore is done when Tomo uses the directory next'
    : 'nothing was changed';
  return new StartError(
    `tomo restore: ${dataDir} cannot be written (${reason}); ${state}. See that it has room for the database and may be written`,
    1,
    cause,
  );
}

function summaryOf(manifest: BackupManifest, movedAside: string[]): RestoreSummary {
  const { created_at: createdAt, version } = manifest;
  return { createdAt, version, movedAside, advice: adviceFor(createdAt, movedAside) };
}

function adviceFor(createdAt: string, movedAside: readonly string[]): string[] {
  return [
    `Agents connect again with their tokens. Those that were installed after ${createdAt}, or whose token was rotated since, need a new install_agent.`,
    `What was revoked or removed after ${createdAt} (agents, MCP tokens) is good again: revoke or remove it anew.`,
    ...(movedAside.length === 0
      ? []
      : ['The files that were there before hold tokens too: delete them when all is well.']),
  ];
}
