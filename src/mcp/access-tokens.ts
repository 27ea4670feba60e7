import { randomBytes } from 'node:crypto';
import { type BigIntStats, readdirSync, readFileSync, statSync } from 'node:fs';
import { link, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type Access, accessSchema } from '../../protocol/access.ts';
import { TomoError } from '../../protocol/errors.ts';
import { MCP_TOKENS_MAX_COUNT } from '../../protocol/limits.ts';
import { hasCode, noneIfAbsent } from '../file-error.ts';
import { actorOf, TOKEN_FILE_SUFFIX, TOKEN_NAME, tokenNameOf } from '../token-name.ts';
import { bearerMatches, bearerOf, newToken, tokenHash } from './bearer-token.ts';

/**
 * Named MCP tokens of a data directory: one file each, so that they are added and removed without a
 * running server and hold at once in a running one.
 */

const TOKENS_DIR = 'tokens';
/**
 * A directory that changed so recently may change again without another time stamp: some file systems
 * count in seconds.
 */
const MTIME_STEP_MS = 2_000;

const tokenFileSchema = z.object({
  access: accessSchema,
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  created_at: z.iso.datetime(),
});

/** A named token as people see it; the token itself is kept nowhere. */
export interface TokenEntry {
  readonly name: string;
  readonly access: Access;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
}

/** Who a request is from, and the most its token allows. */
export interface TokenHolder {
  /** `http` for the token of the data directory, else `token:NAME`. */
  readonly actor: string;
  readonly access: Access;
}

/**
 * Makes a token and answers it; it is not to be had again. Throws a TomoError: INVALID_PARAMS for a
 * name that is none, CONFLICT for one that is taken, LIMIT_REACHED.
 */
export async function addToken(dataDir: string, name: string, access: Access): Promise<string> {
  const file = tokenFile(dataDir, name);
  const dir = join(dataDir, TOKENS_DIR);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  if (namesIn(await readdir(dir)).length >= MCP_TOKENS_MAX_COUNT) throw tooMany();
  const token = newToken();
  const entry: z.output<typeof tokenFileSchema> = {
    access,
    sha256: tokenHash(token),
    created_at: new Date().toISOString(),
  };
  // Written aside and linked: it is there whole or not at all, and never takes another's place.
  const fresh = join(dir, `.${name}.${randomBytes(4).toString('hex')}`);
  try {
    await writeFile(fresh, `${JSON.stringify(entry)}\n`, { mode: 0o600, flush: true });
    await link(fresh, file);
  } catch (error) {
    throw hasCode(error, 'EEXIST') ? nameTaken(name) : error;
  } finally {
    await rm(fresh, { force: true });
  }
  return token;
}

/** The named tokens in the order of their names; a damaged file is passed over. */
export async function listTokens(dataDir: string): Promise<TokenEntry[]> {
  const dir = join(dataDir, TOKENS_DIR);
  const names = namesIn(await readdir(dir).catch(noneIfAbsent));
  const entries = await Promise.all(
    names.map(async (name) => {
      const text = await readFile(join(dir, name + TOKEN_FILE_SUFFIX), 'utf8').catch(emptyIfAbsent);
      const parsed = parseTokenFile(text);
      return parsed && { name, access: parsed.access, createdAt: parsed.created_at };
    }),
  );
  return entries.filter((entry) => entry !== undefined);
}

/** Ends a named token. False if there is none of that name; throws INVALID_PARAMS for no name at all. */
export async function removeToken(dataDir: string, name: string): Promise<boolean> {
  try {
    await rm(tokenFile(dataDir, name));
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

const MAIN_HOLDER: TokenHolder = { actor: 'http', access: 'admin' };

/** The tokens a server accepts: that of its data directory and the named ones. */
export class AccessTokens {
  readonly #dir: string;
  readonly #mainTokenHash: string;
  #known: KnownTokens | undefined;

  /** `mainTokenHash`: SHA-256 (hex) of the token of the data directory. */
  constructor(dataDir: string, mainTokenHash: string) {
    this.#dir = join(dataDir, TOKENS_DIR);
    this.#mainTokenHash = mainTokenHash;
  }

  /**
   * Whose token an Authorization header holds; undefined if it is none that is accepted now. Named
   * ones are found by their hash, from whose beginnings nobody gets closer to a token.
   */
  match(authorization: string | undefined): TokenHolder | undefined {
    const token = bearerOf(authorization);
    if (token === undefined) return undefined;
    if (bearerMatches(authorization, this.#mainTokenHash)) return MAIN_HOLDER;
    return this.#current().get(tokenHash(token));
  }

  /** Whether the token of that hash is one that is accepted now. */
  accepts(hash: string): boolean {
    return hash === this.#mainTokenHash || this.#current().has(hash);
  }

  #current(): KnownTokens['byHash'] {
    const stats = statSync(this.#dir, { bigint: true, throwIfNoEntry: false });
    if (stats === undefined) return new Map();
    if (this.#known === undefined || !isCurrent(this.#known, stats)) {
      this.#known = { stats, readAt: Date.now(), byHash: readTokens(this.#dir) };
    }
    return this.#known.byHash;
  }
}

interface KnownTokens {
  /** Of the directory, from before it was read. */
  readonly stats: BigIntStats;
  readonly readAt: number;
  readonly byHash: ReadonlyMap<string, TokenHolder>;
}

function isCurrent({ stats, readAt }: KnownTokens, now: BigIntStats): boolean {
  const unchanged = stats.mtimeNs === now.mtimeNs && stats.ino === now.ino;
  return unchanged && readAt - Number(stats.mtimeMs) > MTIME_STEP_MS;
}

function readTokens(dir: string): Map<string, TokenHolder> {
  const byHash = new Map<string, TokenHolder>();
  for (const name of namesIn(readdirSync(dir)).slice(0, MCP_TOKENS_MAX_COUNT)) {
    const parsed = parseTokenFile(readIfThere(join(dir, name + TOKEN_FILE_SUFFIX)));
    if (parsed === undefined) continue;
    byHash.set(parsed.sha256, { actor: actorOf(name), access: parsed.access });
  }
  return byHash;
}

/** Removed since the directory was listed: no token any more. */
function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    return emptyIfAbsent(error);
  }
}

function parseTokenFile(text: string): z.output<typeof tokenFileSchema> | undefined {
  try {
    return tokenFileSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function namesIn(files: readonly string[]): string[] {
  return files
    .map(tokenNameOf)
    .filter((name) => name !== undefined)
    .sort();
}

function tokenFile(dataDir: string, name: string): string {
  if (TOKEN_NAME.test(name)) return join(dataDir, TOKENS_DIR, name + TOKEN_FILE_SUFFIX);
  throw new TomoError(
    'INVALID_PARAMS',
    `"${name}" cannot be the name of a token: 1 to 63 characters of a-z 0-9 . _ -, starting with a letter or digit.`,
  );
}

function nameTaken(name: string): TomoError {
  return new TomoError(
    'CONFLICT',
    `There is a token "${name}" already. Choose another name, or end that one first with "tomo token rm".`,
  );
}

function tooMany(): TomoError {
  return new TomoError(
    'LIMIT_REACHED',
    `There are ${MCP_TOKENS_MAX_COUNT} tokens already. End those that nobody uses with "tomo token rm".`,
  );
}

function emptyIfAbsent(error: unknown): string {
  if (hasCode(error, 'ENOENT')) return '';
  throw error;
}
