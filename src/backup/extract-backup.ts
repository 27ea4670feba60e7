import { createHash, type Hash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { type Extract, extract } from 'tar-stream';
import { z } from 'zod';
import { DATABASE_FILE } from '../database-file.ts';
import { StartError } from '../start-error.ts';
import {
  BACKUP_FORMAT,
  type BackupManifest,
  type BackupMember,
  bytesOf,
  MANIFEST_NAME,
  manifestSchema,
  SMALL_MEMBER_MAX_BYTES,
} from './backup-archive.ts';

type Entry = Extract extends AsyncIterable<infer E> ? E : never;

/** What a backup says that it holds. Throws StartError for a file that is none. */
export async function backupManifest(file: string): Promise<BackupManifest> {
  return unpacked(file, async (tar) => {
    let isArchive = false;
    try {
      for await (const entry of tar) {
        isArchive = true;
        return await readManifest(entry, file);
      }
    } catch (error) {
      throw isArchive ? error : noBackup(file, error);
    }
    throw noBackup(file);
  });
}

/**
 * Writes the members of a backup into a directory that has the subdirectories they need. Nothing but
 * what the manifest names, and a backup may hold, is written. Throws StartError for a file that is no
 * whole backup, and what the file system throws.
 */
export async function extractBackup(
  file: string,
  { members }: BackupManifest,
  dir: string,
): Promise<void> {
  const missing = new Map(members.map((member) => [member.name, member]));
  await unpacked(file, async (tar) => {
    let isManifest = true;
    for await (const entry of tar) {
      if (isManifest) {
        isManifest = false;
        entry.resume();
        continue;
      }
      const member = missing.get(entry.header.name);
      if (member === undefined || entry.header.type !== 'file') throw unexpected(file, entry);
      missing.delete(member.name);
      if (!(await writeMember(entry, member, join(dir, member.name)))) throw damaged(file);
    }
  });
  if (missing.size > 0) throw damaged(file);
}

/** Reads an archive. Whatever is not whole ends as a StartError. */
async function unpacked<T>(file: string, read: (tar: Extract) => Promise<T>): Promise<T> {
  await using archive = await opened(file);
  const tar = extract();
  // Whatever ends the reading ends the unpacking with the same error.
  const reading = pipeline(archive.createReadStream(), tar).catch(() => null);
  try {
    return await read(tar);
  } catch (error) {
    throw error instanceof StartError || isFileFault(error) ? error : damaged(file, error);
  } finally {
    tar.destroy();
    await reading;
  }
}

async function readManifest(entry: Entry, file: string): Promise<BackupManifest> {
  const { name, type, size } = entry.header;
  if (name !== MANIFEST_NAME || type !== 'file' || size > SMALL_MEMBER_MAX_BYTES) {
    throw noBackup(file);
  }
  try {
    const text: unknown = JSON.parse((await buffer(entry)).toString());
    if (z.object({ format: z.number().gt(BACKUP_FORMAT) }).safeParse(text).success) {
      throw newer(file);
    }
    return manifestSchema.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) throw noBackup(file, error);
    throw error;
  }
}

/** False if it did not arrive as it was sent. */
async function writeMember(entry: Entry, member: BackupMember, target: string): Promise<boolean> {
  if (entry.header.size !== member.bytes) return false;
  if (member.name !== DATABASE_FILE && member.bytes > SMALL_MEMBER_MAX_BYTES) return false;
  const hash = createHash('sha256');
  const out = createWriteStream(target, { flags: 'wx', mode: 0o600, flush: true });
  await pipeline(hashed(entry, hash), out);
  return hash.digest('hex') === member.sha256;
}

async function* hashed(chunks: AsyncIterable<unknown>, hash: Hash): AsyncGenerator<Buffer> {
  for await (const chunk of bytesOf(chunks)) {
    hash.update(chunk);
    yield chunk;
  }
}

async function opened(file: string): Promise<FileHandle> {
  try {
    const archive = await open(file);
    if ((await archive.stat()).isFile()) return archive;
    await archive.close();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartError(`tomo restore: ${file} cannot be read (${reason})`, 1, error);
  }
  throw noBackup(file);
}

const fileFaultSchema = z.object({ code: z.string(), syscall: z.string() });

function isFileFault(error: unknown): boolean {
  return fileFaultSchema.safeParse(error).success;
}

function noBackup(file: string, cause?: unknown): StartError {
  return new StartError(`tomo restore: ${file} is not a backup that tomo backup made`, 1, cause);
}

function newer(file: string): StartError {
  return new StartError(
    `tomo restore: ${file} was made by a newer Tomo; update this one, then restore`,
    1,
  );
}

function damaged(file: string, cause?: unknown): StartError {
  return new StartError(
    `tomo restore: ${file} is damaged or cut off; fetch it again or take another backup`,
    1,
    cause,
  );
}

function unexpected(file: string, { header }: Entry): StartError {
  return new StartError(
    `tomo restore: ${file} holds ${JSON.stringify(header.name)} (${header.type ?? 'no type'}), which no backup of Tomo has; do not trust it`,
    1,
  );
}
