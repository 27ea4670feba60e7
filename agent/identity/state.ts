import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import { accessSchema } from '../../protocol/access.ts';
import { fingerprintSchema, plainFingerprint } from '../../protocol/hub-address.ts';

const fingerprint = fingerprintSchema.transform(plainFingerprint).optional();

/** What an agent keeps of its registration; the optional fields are absent in older files. */
export const agentStateSchema = z.object({
  agent_id: z.string().min(1),
  token: z.string().min(1),
  server_url: z.string(),
  /** ISO 8601. */
  registered_at: z.string(),
  /** Of the code it registered with; absent in files of the first deployment. */
  code_sha256: z.string().optional(),
  /** The last token that the hub is known to accept, while `token` is one that it never has yet. */
  previous_token: z.string().min(1).optional(),
  /** Tokens between the two, newest first: each was given up for a newer one before its first use. */
  unused_tokens: z.array(z.string().min(1)).optional(),
  /** The ceiling that the hub lowered this agent's access to. */
  access: accessSchema.optional().catch('read'),
  /** Of the certificate at `server_url`, if it is pinned. */
  server_fingerprint: fingerprint,
  /** SERVER_URL and SERVER_FINGERPRINT of the environment when the hub moved this agent. */
  moved_from: z.string().optional(),
  moved_from_fingerprint: fingerprint,
});
export type AgentState = z.infer<typeof agentStateSchema>;

/** The data directory cannot hold the token; the message names the cause and the way out. */
export class StateNotWritableError extends Error {
  override readonly name = 'StateNotWritableError';
}

const OWNER_ONLY_DIRECTORY = 0o700;
const OWNER_ONLY_FILE = 0o600;
// At least as large as any state, so that a full disk is noticed before a code is spent.
const WRITE_TEST_BYTES = 4_096;

const CURRENT = 'agent.json';
const CANDIDATE = 'agent.next.json';

/**
 * DATA_DIR/agent.json. A candidate keeps its registration in agent.next.json beside it until it is
 * promoted, because the agent that it is to replace may use the same directory.
 */
export class StateFile {
  readonly #directory: string;
  /** Of this process: changes when a candidate is welcomed or promoted. */
  #file: string;
  readonly #log: Logger;

  constructor(directory: string, log: Logger) {
    this.#directory = directory;
    this.#file = path.join(directory, CURRENT);
    this.#log = log;
  }

  /** Whether the registration of this process awaits its promotion. */
  get isCandidate(): boolean {
    return this.#file.endsWith(CANDIDATE);
  }

  /**
   * The stored registration; one that cannot be read is set aside and counts as absent. That of a
   * candidate counts only for the process that was started with the candidate's code.
   */
  async load(registerCode?: string): Promise<AgentState | undefined> {
    if (registerCode !== undefined) {
      const candidate = path.join(this.#directory, CANDIDATE);
      const state = await read(candidate).catch(() => undefined);
      if (state?.code_sha256 === hashCode(registerCode)) {
        this.#file = candidate;
        return state;
      }
    }
    try {
      return await read(this.#file);
    } catch (error) {
      if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
      await this.#setAside(error);
      return undefined;
    }
  }

  /** Throws StateNotWritableError unless a state can be written now. */
  async assertWritable(): Promise<void> {
    const probe = `${this.#file}.write-test`;
    try {
      await this.#makeDirectory();
      await writeSynced(probe, '\n'.repeat(WRITE_TEST_BYTES));
      await rm(probe);
    } catch (error) {
      // On a full disk the file itself is made, only its content is not.
      await rm(probe, { force: true }).catch(() => undefined);
      throw this.#notWritable(error);
    }
  }

  /** Replaces the state so that a crash leaves either the old or the new. Throws StateNotWritableError. */
  async save(state: AgentState, { isCandidate = false } = {}): Promise<void> {
    this.#file = path.join(this.#directory, isCandidate ? CANDIDATE : CURRENT);
    const temporary = `${this.#file}.tmp`;
    try {
      await this.#makeDirectory();
      await writeSynced(temporary, `${JSON.stringify(state, null, 2)}\n`);
      await rename(temporary, this.#file);
      await syncDirectory(this.#directory);
    } catch (error) {
      throw this.#notWritable(error);
    }
  }

  /** A candidate's registration becomes the agent's. Throws StateNotWritableError. */
  async promote(): Promise<void> {
    const current = path.join(this.#directory, CURRENT);
    try {
      await rename(this.#file, current);
      await syncDirectory(this.#directory);
      this.#file = current;
    } catch (error) {
      throw this.#notWritable(error);
    }
  }

  /** Whether the file holds a registration that none of these tokens belongs to. */
  async holdsAnother(tokens: readonly string[]): Promise<boolean> {
    const state = await read(this.#file).catch(() => undefined);
    return state !== undefined && !isOneOf(state, tokens);
  }

  /** Removes the registration that one of these tokens belongs to. Throws StateNotWritableError. */
  async forget(tokens: readonly string[]): Promise<void> {
    const taken = `${this.#file}.forgotten`;
    try {
      // Moved away before it is looked at: a promoted candidate may put its own here at any moment.
      await rename(this.#file, taken);
      const state = await read(taken).catch(() => undefined);
      if (state === undefined || isOneOf(state, tokens)) await rm(taken);
      else await rename(taken, this.#file);
      await syncDirectory(this.#directory);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw this.#notWritable(error);
    }
  }

  async #makeDirectory(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: OWNER_ONLY_DIRECTORY });
  }

  async #setAside(cause: unknown): Promise<void> {
    const aside = `${this.#file}.unreadable-${Date.now()}`;
    const facts = { file: this.#file, cause: errorCode(cause) ?? 'not a valid agent.json' };
    try {
      await rename(this.#file, aside);
      this.#log.error({ ...facts, aside }, 'stored registration unreadable: set aside');
    } catch (error) {
      this.#log.error({ ...facts, err: error }, 'stored registration unreadable, cannot be moved');
    }
  }

  #notWritable(cause: unknown): StateNotWritableError {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new StateNotWritableError(
      `The agent's state cannot be written to ${this.#directory} (${reason}). ` +
        'Make that directory writable for the agent, or set DATA_DIR to one that is.',
      { cause },
    );
  }
}

/** Every token of a registration, the one to dial with first at its head. */
export function tokensOf(state: AgentState): readonly string[] {
  const { token, unused_tokens: unused = [], previous_token: previous } = state;
  return [token, ...unused, ...(previous === undefined ? [] : [previous])];
}

function isOneOf(state: AgentState, tokens: readonly string[]): boolean {
  return tokensOf(state).some((token) => tokens.includes(token));
}

/** The same for every spelling of a code. */
export function hashCode(code: string): string {
  const plain = code.replaceAll(/[\s-]/g, '').toUpperCase();
  return createHash('sha256').update(plain).digest('hex');
}

async function read(file: string): Promise<AgentState> {
  return agentStateSchema.parse(JSON.parse(await readFile(file, 'utf8')));
}

async function writeSynced(file: string, text: string): Promise<void> {
  // A left-over of a crash may have another mode, which opening it would keep.
  await rm(file, { force: true });
  const handle = await open(file, 'wx', OWNER_ONLY_FILE);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a rename durable. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
