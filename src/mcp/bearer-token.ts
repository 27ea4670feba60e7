import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '../file-error.ts';

const TOKEN_FILE = 'token';
const TOKEN_BYTES = 32;

/** The MCP bearer token of a data directory, made when it is first asked for. */
export async function bearerToken(dataDir: string): Promise<string> {
  const file = join(dataDir, TOKEN_FILE);
  const known = await readToken(file);
  if (known !== undefined) return known;
  // Written aside and linked, so that of two processes that make one both read the same.
  const fresh = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  await writeFile(fresh, `${newToken()}\n`, { mode: 0o600 });
  await link(fresh, file).catch(ignoreExisting);
  await rm(fresh);
  const token = await readToken(file);
  if (token === undefined) throw new Error(`${file} is empty: delete it and start again`);
  return token;
}

/** A token that nobody has guessed. */
export function newToken(): string {
  return randomBytes(TOKEN_BYTES).toString('base64url');
}

/** What is kept of a token to compare with. */
export function tokenHash(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** The token that an Authorization header holds. */
export function bearerOf(header: string | undefined): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(header ?? '')?.[1];
}

/** Whether an Authorization header holds the token of that hash; as fast wherever they differ. */
export function bearerMatches(header: string | undefined, hash: string): boolean {
  const given = bearerOf(header);
  return given !== undefined && timingSafeEqual(Buffer.from(tokenHash(given)), Buffer.from(hash));
}

async function readToken(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim() || undefined;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function ignoreExisting(error: unknown): void {
  if (!hasCode(error, 'EEXIST')) throw error;
}
