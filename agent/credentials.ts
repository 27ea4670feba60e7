import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import { CLOSE_CODES, type Welcome } from '../protocol/handshake.ts';
import { ConfigurationError } from './config.ts';
import type { DialError } from './dial.ts';
import type { AgentState, StateFile } from './state.ts';

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
    if (refused.type !== 'register' || !isRefused || this.#token === undefined) return undefined;
    if (isVerdict(refusal?.code)) this.#code = undefined;
    this.#options.log.warn({ reason: refusal?.code }, 'registration code refused: using the token');
    return this.#tokenCredential();
  }

  /** Keeps the token of a welcome to a code. */
  async keep(credential: Credential, welcome: Welcome): Promise<void> {
    if (credential.type !== 'register' || welcome.type !== 'registered') return;
    const { file, serverUrl, log } = this.#options;
    this.#token = welcome.token;
    this.#code = undefined;
    try {
      await file.save({
        agent_id: welcome.agent_id,
        token: welcome.token,
        server_url: serverUrl,
        registered_at: new Date().toISOString(),
        code_sha256: hashCode(credential.code),
      });
    } catch (error) {
      // The code is spent: as long as this process lives, the token in memory still serves.
      log.error({ err: error }, 'token not kept: the agent must be registered anew after its end');
    }
  }

  /** Drops the token after a revocation; true if a code is left to try. */
  async forget(): Promise<boolean> {
    this.#token = undefined;
    await this.#options.file.forget().catch((error: unknown) => {
      this.#options.log.error({ err: error }, 'the revoked token could not be removed');
    });
    return this.#code !== undefined;
  }

  #tokenCredential(): Credential | undefined {
    return this.#token === undefined ? undefined : { type: 'authenticate', token: this.#token };
  }
}

/** A hub that is busy or in trouble says nothing of the code; the first deployment's names no reason. */
function isVerdict(reason: string | undefined): boolean {
  return reason === undefined || reason.startsWith('CODE_');
}

/** The same for every spelling of a code. */
function hashCode(code: string): string {
  const plain = code.replaceAll(/[\s-]/g, '').toUpperCase();
  return createHash('sha256').update(plain).digest('hex');
}
