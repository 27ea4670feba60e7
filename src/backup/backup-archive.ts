import { z } from 'zod';
import { DATABASE_FILE } from '../database-file.ts';
import { tokenNameOf } from '../token-name.ts';

/** A backup is a tar file: the manifest first, then what it names. */

export const MANIFEST_NAME = 'manifest.json';
/** Raised when an older program could not restore what a newer one wrote. */
export const BACKUP_FORMAT = 1;
/** Largest member but the database. */
export const SMALL_MEMBER_MAX_BYTES = 1024 * 1024;
export const MEMBERS_MAX_COUNT = 2_000;

/** Directories of the data directory whose files belong to a backup, and what these may be called. */
export const BACKED_UP_DIRS: Readonly<Record<string, (file: string) => boolean>> = {
  tokens: (file) => tokenNameOf(file) !== undefined,
  tls: (file) => /^[a-z0-9][a-z0-9._-]{0,62}$/.test(file),
};
/** Files of the data directory that belong to a backup. */
export const BACKED_UP_FILES = [DATABASE_FILE, 'token'] as const;

/** Whether a backup may hold a member of that name. Nothing else is ever written from one. */
export function isMemberName(name: string): boolean {
  if (BACKED_UP_FILES.some((file) => file === name)) return true;
  const [dir = '', file = '', ...deeper] = name.split('/');
  const allowed = Object.hasOwn(BACKED_UP_DIRS, dir) ? BACKED_UP_DIRS[dir] : undefined;
  return deeper.length === 0 && allowed?.(file) === true;
}

const memberSchema = z.object({
  name: z.string().refine(isMemberName, 'not a file that a backup holds'),
  bytes: z.number().int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
/** A file of the backup, and what tells whether it arrived whole. */
export type BackupMember = z.output<typeof memberSchema>;

export const manifestSchema = z.object({
  format: z.literal(BACKUP_FORMAT),
  /** The version of Tomo that made it. */
  version: z.string().max(64),
  created_at: z.iso.datetime(),
  members: z
    .array(memberSchema)
    .max(MEMBERS_MAX_COUNT)
    .refine((members) => new Set(members.map(({ name }) => name)).size === members.length, {
      message: 'names a file twice',
    })
    .refine((members) => members.some(({ name }) => name === DATABASE_FILE), {
      message: 'names no database',
    }),
});
export type BackupManifest = z.output<typeof manifestSchema>;

/** What tar-stream's streams hand out, whose types leave it open. */
export async function* bytesOf(chunks: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) if (Buffer.isBuffer(chunk)) yield chunk;
}
