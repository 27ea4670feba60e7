import type { Logger } from 'pino';
import { type Access, grants, lowerAccess } from '../../protocol/access.ts';
import { TomoError } from '../../protocol/errors.ts';
import type { Welcome } from '../../protocol/handshake.ts';
import type { KeptState } from './kept-state.ts';

/**
 * The most this agent may do: what it was started with, or less if the hub said so. The hub never
 * raises it; a registration with a new code sets it back to what the agent was started with.
 */
export class Ceiling {
  readonly #given: Access;
  readonly #state: KeptState;
  readonly #log: Logger;
  #lowered: Access | undefined;

  /** @param given ACCESS of the environment. */
  constructor(given: Access, state: KeptState, log: Logger) {
    this.#given = given;
    this.#state = state;
    this.#log = log;
    this.#lowered = state.current?.access;
  }

  /** Of this moment. */
  get access(): Access {
    return this.#lowered === undefined ? this.#given : lowerAccess(this.#given, this.#lowered);
  }

  /** What a process may do that comes with a token, or registers with a code. */
  introducedWith(type: 'register' | 'authenticate'): Access {
    return type === 'register' ? this.#given : this.access;
  }

  /** What the hub says at every connection; holds before this returns its promise. */
  async welcomed({ type, access }: Pick<Welcome, 'type' | 'access'>): Promise<void> {
    if (type === 'registered') this.#lowered = undefined;
    if (access === undefined || grants(access, this.access)) return;
    this.#lowered = access;
    await this.#keep(access).catch((error: unknown) => {
      this.#log.error({ err: error }, 'the lower access is in force, but could not be kept');
    });
  }

  /**
   * Lowers the access for good. It is in force at once, even if it cannot be kept.
   * @throws TomoError ACCESS_DENIED if it is higher, INTERNAL_ERROR if it cannot be kept
   */
  async lower(access: Access): Promise<void> {
    const granted = this.access;
    if (!grants(granted, access)) {
      throw new TomoError(
        'ACCESS_DENIED',
        `This agent grants ${granted} access and no more; it is raised by install_agent with access: "${access}" only.`,
        { facts: { granted, access } },
      );
    }
    this.#lowered = access;
    await this.#keep(access).catch((cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause);
      const message = `Access is ${access} from now on, but only until this agent restarts. ${why}`;
      throw new TomoError('INTERNAL_ERROR', message, { cause });
    });
  }

  async #keep(access: Access): Promise<void> {
    await this.#state.change((now) => (now.access === access ? now : { ...now, access }));
  }
}
