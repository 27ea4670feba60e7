import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { type FileHandle, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';
import { VERSION } from '../../protocol/version.ts';
import { DATABASE_FILE, databaseFile } from '../database-file.ts';
import { DatabaseError } from '../db/errors.ts';
import { snapshot } from '../db/snapshot.ts';
import { hasCode, noneIfAbsent } from '../file-error.ts';
import { StartError } from '../start-error.ts';
import {
  BACKED_UP_DIRS,
  BACKUP_FORMAT,
  type BackupManifest,
  type BackupMember,
  bytesOf,
  MANIFEST_NAME,
  SMALL_MEMBER_MAX_BYTES,
} from './backup-archive.ts';

/** What `tomo backup` wrote. */
export interface BackupSummary {
  /** Absolute path of the archive. */
  readonly file: string;
  readonly bytes: number;
  /** Names of its members, such as `tomo.db` and `tokens/ci.json`. */
  readonly members: readonly string[];
}

/**
 * Writes database, tokens and certificate of a data directory into one new file that only its owner
 * may read, also while a server runs. Throws StartError, and leaves no file then.
 */
export async function backup(dataDir: string, file: string): Promise<BackupSummary> {
  const database = databaseFile(dataDir);
  if (!existsSync(database)) throw nothingThere(dataDir);
  const archive = await open(file, 'wx', 0o600).catch((error: unknown) => {
    throw cannotMake(file, error);
  });
  try {
    await using kept = archive;
    const members = await write(dataDir, kept);
    const { size } = await kept.stat();
    return { file: resolve(file), bytes: size, members };
  } catch (error) {
    await rm(file, { force: true });
    throw failed(dataDir, file, error);
  }
}

/** A file's bytes, in memory or where they are. */
interface Source extends BackupMember {
  readonly content: Buffer | { readonly path: string };
}

async function write(dataDir: string, archive: FileHandle): Promise<string[]> {
  // Beside the database, where there is room for it or for nothing.
  const copy = `${databaseFile(dataDir)}.${randomBytes(4).toString('hex')}.snapshot`;
  // Nothing that happens later is in it.
  const createdAt = new Date();
  try {
    snapshot(databaseFile(dataDir), copy);
    const sources = [await databaseSource(copy), ...(await smallSources(dataDir))];
    await Promise.all(streams(archive, createdAt, sources));
    await archive.sync();
    return sources.map(({ name }) => name);
  } finally {
    await rm(copy, { force: true });
  }
}

/** Whichever of the two fails ends the other. */
function streams(
  archive: FileHandle,
  createdAt: Date,
  sources: readonly Source[],
): Promise<void>[] {
  const tar = pack();
  const packed = packAll(tar, createdAt, sources).catch((error: unknown) => {
    tar.destroy();
    throw error;
  });
  return [packed, archive.writeFile(bytesOf(tar))];
}

async function packAll(tar: Pack, createdAt: Date, sources: readonly Source[]): Promise<void> {
  const manifest: BackupManifest = {
    format: BACKUP_FORMAT,
    version: VERSION,
    created_at: createdAt.toISOString(),
    members: sources.map(({ name, bytes, sha256 }) => ({ name, bytes, sha256 })),
  };
  const text = Buffer.from(`${JSON.stringify(manifest, null, 1)}\n`);
  await packOne(tar, MANIFEST_NAME, text.byteLength, Readable.from([text]));
  for (const { name, bytes, content } of sources) {
    const stream = Buffer.isBuffer(content)
      ? Readable.from([content])
      : createReadStream(content.path);
    await packOne(tar, name, bytes, stream);
  }
  tar.finalize();
}

async function packOne(tar: Pack, name: string, size: number, content: Readable): Promise<void> {
  await pipeline(content, tar.entry({ name, size, mode: 0o600 }));
}

async function databaseSource(copy: string): Promise<Source> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(copy), hash);
  const { size } = await stat(copy);
  return { name: DATABASE_FILE, bytes: size, sha256: hash.digest('hex'), content: { path: copy } };
}

async function smallSources(dataDir: string): Promise<Source[]> {
  const names = ['token'];
  for (const [dir, allowed] of Object.entries(BACKED_UP_DIRS)) {
    const files = await readdir(join(dataDir, dir)).catch(noneIfAbsent);
    names.push(...files.filter(allowed).map((file) => `${dir}/${file}`));
  }
  const sources = await Promise.all(names.map((name) => smallSource(dataDir, name)));
  return sources.filter((source) => source !== undefined);
}

/** Undefined for what is no file, and for one that was removed meanwhile. */
async function smallSource(dataDir: string, name: string): Promise<Source | undefined> {
  const path = join(dataDir, name);
  const facts = await stat(path).catch(undefinedIfAbsent);
  if (facts?.isFile() !== true) return undefined;
  if (facts.size > SMALL_MEMBER_MAX_BYTES) throw tooLarge(path);
  const content = await readFile(path).catch(undefinedIfAbsent);
  if (content === undefined) return undefined;
  const sha256 = createHash('sha256').update(content).digest('hex');
  return { name, bytes: content.byteLength, sha256, content };
}

function undefinedIfAbsent(error: unknown): undefined {
  if (!hasCode(error, 'ENOENT')) throw error;
}

function nothingThere(dataDir: string): StartError {
  return new StartError(
    `tomo backup: there is no database in ${dataDir}; name the data directory with --data-dir`,
    1,
  );
}

function cannotMake(file: string, cause: unknown): StartError {
  const reason = hasCode(cause, 'EEXIST')
    ? 'is there already and is not overwritten; choose another name'
    : `cannot be made (${reasonOf(cause)}); choose another place`;
  return new StartError(`tomo backup: ${file} ${reason}`, 1, cause);
}

function tooLarge(path: string): StartError {
  return new StartError(
    `tomo backup: ${path} has more than ${SMALL_MEMBER_MAX_BYTES} bytes, which no file of Tomo's own has; move it elsewhere`,
    1,
  );
}

function failed(dataDir: string, file: string, error: unknown): StartError {
  if (error instanceof StartError) return error;
  const way =
    error instanceof DatabaseError && error.code === 'corrupt'
      ? 'an earlier backup may be sound'
      : `make room for the database in ${dataDir} and beside ${file}, and check their permissions`;
  return new StartError(`tomo backup: nothing was written (${reasonOf(error)}); ${way}`, 1, error);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
