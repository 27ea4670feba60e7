import type { Logger } from 'pino';
import { CLOSE_CODES, type Welcome } from '../protocol/handshake.ts';
import { ConfigurationError } from './config.ts';
import type { DialError } from './dial.ts';
import { type AgentState, hashCode, type StateFile } from './state.ts';

/** What an agent introduces itself with. */
export type Credential =
  | { readonly type: 'register'; readonly code: string }
  | { readonly type: 'authenticate'; readonly token: string };

interface CredentialsOptions {
  readonly file: StateFile;
  readonly stored: AgentState | undefined;
  readonly registerCode: string | undefined;
  /** Where the agent dials; kept with the registration. */
  readonly serverUrl: string;
  readonly log: Logger;
}

/** The code and the token of this agent, and which of them is next. */
export class Credentials {
  readonly #options: CredentialsOptions;
  /** A code that may still be good. */
  #code: string | undefined;
  #token: string | undefined;
  /** The registration under way to the disk, which a promotion may overtake. */
  #kept: Promise<void> = Promise.resolve();

  constructor(options: CredentialsOptions) {
    const { stored, registerCode } = options;
    this.#options = options;
    this.#token = stored?.token;
    const isNew = registerCode !== undefined && hashCode(registerCode) !== stored?.code_sha256;
    this.#code = isNew ? registerCode : undefined;
  }

  /**
   * A new code before the token: whoever starts an agent with one means it. Throws
   * ConfigurationError if there is neither, and StateNotWritableError rather than spend a code
   * whose token cannot be kept.
   */
  async next(): Promise<Credential> {
    if (this.#code !== undefined) {
      await this.#options.file.assertWritable();
      return { type: 'register', code: this.#code };
    }
    const credential = this.#tokenCredential();
    if (credential === undefined) {
      throw new ConfigurationError(
        'REGISTER_CODE: must be set to a registration code of install_agent, ' +
          'because DATA_DIR holds no registration of this agent',
      );
    }
    return credential;
  }

  /** What to try at once after a refusal. */
  fallback(refused: Credential, { closeCode, refusal }: DialError): Credential | undefined {
    const isRefused = refusal !== undefined || closeCode === CLOSE_CODES.NOT_AUTHENTICATED;
    if (refused.type !== 'register' || !isRefused) return undefined;
    // The first deployment's hub names no reason: with nothing else to try, its code is kept.
    const isLast = this.#token === undefined;
    if (isVerdict(refusal?.code) && !(isLast && refusal?.code === undefined)) {
      this.#code = undefined;
    }
    if (isLast) return undefined;
    this.#options.log.warn({ reason: refusal?.code }, 'registration code refused: using the token');
    return this.#tokenCredential();
  }

  /** Whether there is nothing left to try: the code was refused for good, and there is no token. */
  get isSpent(): boolean {
    return this.#code === undefined && this.#token === undefined;
  }

  /** Keeps the token of a welcome to a code: a candidate's apart. */
  async keep(credential: Credential, welcome: Welcome): Promise<void> {
    const isCandidate = welcome.candidate === true;
    if (credential.type !== 'register' || welcome.type !== 'registered') {
      // Promoted while this agent could not be told.
      if (!isCandidate) await this.promoted();
      return;
    }
    const { token } = welcome;
    this.#token = token;
    this.#code = undefined;
    this.#kept = this.#save(welcome.agent_id, token, credential.code, isCandidate);
    await this.#kept;
  }

  /** A candidate is the agent from now on. */
  async promoted(): Promise<void> {
    const { file, log } = this.#options;
    await this.#kept;
    if (!file.isCandidate) return;
    await file.promote().catch((error: unknown) => {
      log.error({ err: error }, 'promoted, but the registration stays in the candidate’s file');
    });
  }

  /** Drops the token, which the hub no longer takes; a code that may be good is kept. */
  async forget(): Promise<void> {
    const token = this.#token;
    this.#token = undefined;
    if (token === undefined) return;
    await this.#options.file.forget(token).catch((error: unknown) => {
      this.#options.log.error({ err: error }, 'the old token could not be removed');
    });
  }

  async #save(id: string, token: string, code: string, isCandidate: boolean): Promise<void> {
    const { file, serverUrl, log } = this.#options;
    try {
      const state = {
        agent_id: id,
        token,
        server_url: serverUrl,
        registered_at: new Date().toISOString(),
        code_sha256: hashCode(code),
      };
      await file.save(state, { isCandidate });
    } catch (error) {
      // The code is spent: as long as this process lives, the token in memory still serves.
      log.error({ err: error }, 'token not kept: the agent must be registered anew after its end');
    }
  }

  #tokenCredential(): Credential | undefined {
    return this.#token === undefined ? undefined : { type: 'authenticate', token: this.#token };
  }
}

/** A hub that is busy or in trouble says nothing of the code; the first deployment's names no reason. */
function isVerdict(reason: string | undefined): boolean {
  return reason === undefined || reason.startsWith('CODE_') || reason === 'AGENT_REVOKED';
}
