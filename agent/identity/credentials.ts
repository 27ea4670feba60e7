import type { Logger } from 'pino';
import { TomoError } from '../../protocol/errors.ts';
import { CLOSE_CODES, type Welcome } from '../../protocol/handshake.ts';
import { ConfigurationError } from '../config.ts';
import type { DialError } from '../connection/dial.ts';
import type { HubAddress } from '../connection/hub-address.ts';
import type { KeptState } from './kept-state.ts';
import { type AgentState, hashCode, tokensOf } from './state.ts';
import { acceptToken, addToken } from './token-rotation.ts';

/** What an agent introduces itself with. */
export type Credential =
  | { readonly type: 'register'; readonly code: string }
  | { readonly type: 'authenticate'; readonly token: string };

interface CredentialsOptions {
  readonly state: KeptState;
  readonly registerCode: string | undefined;
  readonly log: Logger;
}

/** The code and the tokens of this agent, and which of them is next. */
export class Credentials {
  readonly #state: KeptState;
  readonly #log: Logger;
  /** A code that may still be good. */
  #code: string | undefined;
  /** Tokens that the hub did not know since the dial began. */
  #refused = new Set<string>();
  /** The token that the hub accepted last. */
  #proven: string | undefined;
  #isRetired = false;

  constructor({ state, registerCode, log }: CredentialsOptions) {
    this.#state = state;
    this.#log = log;
    this.#code = isNewCode(registerCode, state.current) ? registerCode : undefined;
  }

  /**
   * A new code before the tokens: whoever starts an agent with one means it. Throws
   * ConfigurationError if there is neither, and StateNotWritableError rather than spend a code
   * whose token cannot be kept.
   */
  async next(): Promise<Credential> {
    if (this.#code !== undefined) {
      this.#refused.clear();
      await this.#state.assertWritable();
      return { type: 'register', code: this.#code };
    }
    return this.again();
  }

  /** The newest token, for an agent that is connected. Throws ConfigurationError if there is none. */
  again(): Credential {
    this.#refused.clear();
    const credential = this.#token();
    if (credential !== undefined) return credential;
    throw new ConfigurationError(
      'REGISTER_CODE: must be set to a registration code of install_agent, ' +
        'because DATA_DIR holds no registration of this agent',
    );
  }

  /** The newest token that the hub has not refused. */
  #token(): Credential | undefined {
    const { current } = this.#state;
    const token = current && tokensOf(current).find((one) => !this.#refused.has(one));
    return token === undefined ? undefined : { type: 'authenticate', token };
  }

  /** What to try at once after a refusal. */
  fallback(refused: Credential, error: DialError): Credential | undefined {
    const { closeCode, refusal } = error;
    if (refused.type === 'authenticate') {
      if (!isUnknownToken(error)) return undefined;
      this.#refused.add(refused.token);
      return this.#token();
    }
    if (refusal === undefined && closeCode !== CLOSE_CODES.NOT_AUTHENTICATED) return undefined;
    const token = this.#token();
    // The first deployment's hub names no reason: with nothing else to try, its code is kept.
    if (isVerdict(refusal?.code) && !(token === undefined && refusal?.code === undefined)) {
      this.#code = undefined;
    }
    if (token !== undefined) {
      this.#log.warn({ reason: refusal?.code }, 'registration code refused: using the token');
    }
    return token;
  }

  /** Whether this process awaits its promotion. */
  get isCandidate(): boolean {
    return this.#state.isCandidate;
  }

  /** Whether there is nothing left to try: the code was refused for good, and there is no token. */
  get isSpent(): boolean {
    return this.#code === undefined && this.#state.current === undefined;
  }

  /**
   * Keeps what the hub accepted, and where. What it means for calls that follow holds before this
   * returns its promise.
   */
  async accepted(credential: Credential, welcome: Welcome, address: HubAddress): Promise<void> {
    const isCandidate = welcome.candidate === true;
    if (credential.type === 'register' && welcome.type === 'registered') {
      this.#proven = welcome.token;
      this.#code = undefined;
      const state = registration(welcome.agent_id, welcome.token, credential.code, address);
      await this.#state.register(state, { isCandidate }).catch((error: unknown) => {
        // The code is spent: as long as this process lives, the token in memory still serves.
        const text = 'token not kept: the agent must be registered anew after its end';
        this.#log.error({ err: error }, text);
      });
      return;
    }
    if (credential.type === 'authenticate') await this.#authenticated(credential.token, address);
    // Promoted while this agent could not be told.
    if (!isCandidate) await this.promoted();
  }

  async #authenticated(token: string, address: HubAddress): Promise<void> {
    this.#proven = token;
    const refused = new Set(this.#refused);
    const change = (now: AgentState): AgentState =>
      locate(acceptToken(now, token, refused), address);
    await this.#state.change(change).catch((error: unknown) => {
      this.#log.error({ err: error }, 'what the hub accepted could not be kept');
    });
  }

  /**
   * Keeps a new token beside those that may be in force. Once this resolves, a process that starts
   * from the disk has it.
   * @throws TomoError CONFLICT, or INTERNAL_ERROR if it cannot be kept; the tokens are as before then
   */
  async rotate(token: string): Promise<void> {
    const proven = this.#proven;
    const change = (now: AgentState): AgentState => {
      // Asked in turn: a promotion may be under way to the disk.
      if (this.#isRetired || this.#state.isCandidate) {
        const what = this.#isRetired ? 'was replaced' : 'awaits its promotion';
        throw new TomoError(
          'CONFLICT',
          `This process of the agent ${what}: it takes no new token.`,
        );
      }
      return addToken(now, token, proven);
    };
    await this.#state.change(change).catch((cause: unknown) => {
      if (cause instanceof TomoError) throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new TomoError('INTERNAL_ERROR', `The new token was not kept. ${why}`, { cause });
    });
  }

  /** A candidate is the agent from now on. */
  async promoted(): Promise<void> {
    await this.#state.promote().catch((error: unknown) => {
      const text = 'promoted, but the registration stays in the candidate’s file';
      this.#log.error({ err: error }, text);
    });
  }

  /** A candidate took the place of this process. */
  retire(): void {
    this.#isRetired = true;
  }

  /** Drops the tokens, which the hub no longer takes; a code that may be good is kept. */
  async forget(): Promise<void> {
    await this.#state.forget().catch((error: unknown) => {
      this.#log.error({ err: error }, 'the old token could not be removed');
    });
  }
}

/** Whether an agent started with this code has not registered with it yet. */
export function isNewCode(code: string | undefined, stored: AgentState | undefined): boolean {
  return code !== undefined && hashCode(code) !== stored?.code_sha256;
}

function registration(id: string, token: string, code: string, address: HubAddress): AgentState {
  return {
    agent_id: id,
    token,
    ...places(address),
    registered_at: new Date().toISOString(),
    code_sha256: hashCode(code),
  };
}

type Places = Pick<
  AgentState,
  'server_url' | 'server_fingerprint' | 'moved_from' | 'moved_from_fingerprint'
>;

function places({ url, fingerprint, movedFrom }: HubAddress): Places {
  return {
    server_url: url,
    server_fingerprint: fingerprint,
    moved_from: movedFrom?.url,
    moved_from_fingerprint: movedFrom?.fingerprint,
  };
}

/** The very same state if it says so already. */
function locate(state: AgentState, address: HubAddress): AgentState {
  const located = { ...state, ...places(address) };
  const isSame =
    located.server_url === state.server_url &&
    located.server_fingerprint === state.server_fingerprint &&
    located.moved_from === state.moved_from &&
    located.moved_from_fingerprint === state.moved_from_fingerprint;
  return isSame ? state : located;
}

/** A hub that is busy or in trouble says nothing of the code; the first deployment's names no reason. */
function isVerdict(reason: string | undefined): boolean {
  return reason === undefined || reason.startsWith('CODE_') || reason === 'AGENT_REVOKED';
}

function isUnknownToken({ closeCode, refusal }: DialError): boolean {
  if (refusal?.code !== undefined) return refusal.code === 'TOKEN_UNKNOWN';
  return closeCode === CLOSE_CODES.NOT_AUTHENTICATED;
}
