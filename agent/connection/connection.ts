import { setTimeout as delay } from 'node:timers/promises';
import { TomoError } from '../../protocol/errors.ts';
import { CLOSE_CODES } from '../../protocol/handshake.ts';
import { PROMOTED_METHOD, RETIRE_METHOD } from '../../protocol/json-rpc.ts';
import { RETIRE_MAX_MS } from '../../protocol/limits.ts';
import type { MetricsSampler } from '../collectors/metrics.ts';
import type { Feed, Notify } from '../feed.ts';
import { startTelemetry } from '../telemetry.ts';
import { FingerprintError } from './certificate-pin.ts';
import { DialError } from './dial.ts';
import type { GivenAddress, HubAddress } from './hub-address.ts';
import { HubDialler, type HubDiallerOptions } from './hub-dialler.ts';
import { type MoveLimits, move } from './move.ts';
import { type MoveTarget, targetAddress } from './move-target.ts';
import { type Ending, planRedial, type Redial } from './redial.ts';
import type { Session } from './session.ts';

export interface ConnectionOptions extends HubDiallerOptions {
  /** Where to dial until the hub moves this agent. */
  readonly address: HubAddress;
  /** What the environment says of it. */
  readonly given: GivenAddress;
  readonly sampler: MetricsSampler;
  readonly moveLimits?: Partial<MoveLimits>;
  /** From the welcome to the first metrics and health. */
  readonly firstPushMs?: number;
  /** What the agent pushes to the hub on its own, besides its metrics and health. */
  readonly feeds?: readonly Feed[];
  /** Told at every change of whether the agent is authenticated. */
  readonly onPresence?: (isConnected: boolean) => void;
  /** What a retired agent may take to finish its commands. */
  readonly retireMaxMs?: number;
  readonly redial?: (failedDials: number, ending: Ending) => Redial;
}

/**
 * Why an agent no longer dials: it was told to end, the hub revoked it, a candidate took its place,
 * it has neither a token nor a code that could still be good, or its pin is not the hub's any more.
 */
export type ConnectionEnd = 'stopped' | 'revoked' | 'retired' | 'spent' | 'mismatched';

interface Moving {
  readonly to: HubAddress;
  readonly done: Promise<Session | undefined>;
}

const FIRST_PUSH_MS = 500;

/** Keeps this agent connected to its hub: dials, serves, and dials again. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #dialler: HubDialler;
  #hasAdvised = false;
  #isRetired = false;
  #isMismatched = false;
  #address: HubAddress;
  #session: Session | undefined;
  #moving: Moving | undefined;
  #detachFeeds: () => void = () => undefined;
  /** Where the hub told it to move before what the welcome said was kept. */
  #wanted: HubAddress | undefined;
  #signal = new AbortController().signal;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#address = options.address;
    this.#dialler = new HubDialler(options, (method, params, session) => {
      void this.#notified(method, params, session);
    });
  }

  /** Where the hub is dialled at present. */
  get address(): HubAddress {
    return this.#address;
  }

  /**
   * Makes sure that the agent can move; what is returned does it. Undefined if the agent is there.
   * @throws TomoError CONFLICT, INVALID_PARAMS
   */
  prepareMove(target: MoveTarget): (() => void) | undefined {
    const to = targetAddress(target, this.#address, this.#options.given);
    if (to === undefined) return undefined;
    const { credentials, hasParent = false } = this.#options;
    if (hasParent) {
      throw new TomoError('CONFLICT', 'Tomo itself runs this agent and says where it dials.');
    }
    if (this.#isRetired || credentials.isCandidate) {
      throw new TomoError('CONFLICT', 'This process is not the agent’s only one: it stays.');
    }
    const { url, fingerprint } = this.#moving?.to ?? to;
    if (url !== to.url || fingerprint !== to.fingerprint) {
      throw new TomoError('CONFLICT', `This agent is moving to ${url}; wait for that to end.`);
    }
    return () => {
      this.#move(to);
    };
  }

  /** Until the signal aborts or the hub has no more use for the agent. Throws as Credentials.next does. */
  async run(signal: AbortSignal): Promise<ConnectionEnd> {
    this.#signal = signal;
    try {
      return await this.#keepConnected(signal);
    } finally {
      // Also what was begun before and goes on without a socket.
      await this.#options.commands[Symbol.asyncDispose]();
    }
  }

  async #keepConnected(signal: AbortSignal): Promise<ConnectionEnd> {
    const { log, redial = planWithJitter } = this.#options;
    let failedDials = 0;
    while (!signal.aborted) {
      const ending = await this.#attempt(signal);
      if (signal.aborted) break;
      const end = await this.#endOf(ending);
      if (end !== undefined) return end;
      const plan = redial(failedDials, ending);
      failedDials = plan.failedDials;
      log.info({ delay_ms: Math.round(plan.delayMs) }, 'dialling again');
      await delay(plan.delayMs, undefined, { signal }).catch(() => undefined);
    }
    return 'stopped';
  }

  /** Why not to dial again, if so. */
  async #endOf({ closeCode }: Ending): Promise<ConnectionEnd | undefined> {
    const { credentials, commands, log } = this.#options;
    if (this.#isRetired) {
      await credentials.forget();
      log.info('this agent was replaced: its token is forgotten and it will not dial again');
      return 'retired';
    }
    if (this.#isMismatched) return 'mismatched';
    const isRevoked = closeCode === CLOSE_CODES.REVOKED;
    if (isRevoked) {
      commands.abortAll(new TomoError('AGENT_REVOKED', 'The agent was revoked.'));
      await credentials.forget();
    }
    if (!credentials.isSpent) return undefined;
    if (!isRevoked) return 'spent';
    log.warn('this agent was revoked: its token is forgotten and it will not dial again');
    return 'revoked';
  }

  /** One dial and the session it leads to. */
  async #attempt(signal: AbortSignal): Promise<Ending> {
    const { credentials, log, hasParent = false } = this.#options;
    // The hub asks again at every connection.
    this.#wanted = undefined;
    try {
      const credential = await credentials.next();
      const session = await this.#dialler.connect(credential, this.#address, signal);
      this.#hasAdvised = false;
      return await this.#serveAll(session, signal);
    } catch (error) {
      if (!(error instanceof DialError)) throw error;
      const { closeCode, refusal } = error;
      // Whoever starts it anew knows the new pin.
      this.#isMismatched = hasParent && error.cause instanceof FingerprintError;
      if (!signal.aborted) {
        log.warn(
          { close_code: closeCode, reason: refusal?.code, cause: error.message },
          'not connected',
        );
        this.#advise(closeCode);
      }
      return { authenticatedMs: 0, closeCode };
    }
  }

  async #notified(method: string, params: unknown, session: Session): Promise<void> {
    const { credentials, log, retireMaxMs = RETIRE_MAX_MS } = this.#options;
    if (method === PROMOTED_METHOD) {
      log.info('promoted: this process is the agent from now on');
      await credentials.promoted();
      if (this.#session === session) this.#attachFeeds(session);
    } else if (method === RETIRE_METHOD) {
      // Remembered first: the hub may close the socket before this side does.
      this.#isRetired = true;
      credentials.retire();
      await session.retire(retireMaxMs);
    } else {
      for (const feed of this.#options.feeds ?? []) feed.notified(method, params);
    }
  }

  #move(to: HubAddress): void {
    const { commands, log, moveLimits } = this.#options;
    const from = this.#session;
    if (from === undefined) this.#wanted = to;
    if (this.#moving !== undefined || from === undefined) return;
    const connect = async (signal: AbortSignal): Promise<Session> => await this.#reach(to, signal);
    const limits = moveLimits && { limits: moveLimits };
    const done = move({ from, to, connect, commands, signal: this.#signal, log, ...limits });
    this.#moving = { to, done };
    void done.then((session) => {
      if (session === undefined) this.#moving = undefined;
    });
  }

  async #reach(to: HubAddress, signal: AbortSignal): Promise<Session> {
    const session = await this.#dialler.connect(this.#options.credentials.again(), to, signal);
    this.#address = to;
    if (this.#isRetired) await session.retire(0);
    return session;
  }

  /** A session, and those that the agent moves on to. */
  async #serveAll(first: Session, signal: AbortSignal): Promise<Ending> {
    let session: Session | undefined = first;
    for (;;) {
      this.#session = session;
      if (this.#wanted !== undefined) this.#move(this.#wanted);
      this.#wanted = undefined;
      const ending = await this.#serve(session, signal);
      this.#session = undefined;
      session = await this.#moving?.done;
      this.#moving = undefined;
      if (session === undefined) return ending;
    }
  }

  async #serve(session: Session, signal: AbortSignal): Promise<Ending> {
    const { settings, sampler, log, firstPushMs = FIRST_PUSH_MS, onPresence } = this.#options;
    onPresence?.(true);
    let disposed: Promise<void> | undefined;
    const onAbort = (): void => {
      disposed = session[Symbol.asyncDispose]();
    };
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort);
    const telemetry = startTelemetry({
      notify: (method, params) => {
        session.notify(method, params);
      },
      settings,
      sampler,
      firstAfterMs: firstPushMs,
      log,
    });
    if (!this.#options.credentials.isCandidate) this.#attachFeeds(session);
    const end = await session.closed;
    onPresence?.(false);
    this.#detachFeeds();
    telemetry[Symbol.dispose]();
    await disposed;
    signal.removeEventListener('abort', onAbort);
    log.info({ close_code: end.closeCode, reason: end.reason }, 'disconnected');
    return end;
  }

  #attachFeeds(session: Session): void {
    this.#detachFeeds();
    const notify: Notify = (method, params) => session.push(method, params);
    const detach = (this.#options.feeds ?? []).map((feed) => feed.attach(notify));
    this.#detachFeeds = () => {
      for (const end of detach) end();
      this.#detachFeeds = () => undefined;
    };
  }

  /** Says once what a person must do, where dialling alone will not help. */
  #advise(closeCode: number): void {
    if (closeCode !== CLOSE_CODES.NOT_AUTHENTICATED || this.#hasAdvised) return;
    this.#hasAdvised = true;
    this.#options.log.error(
      'the hub does not know this agent: call install_agent again and start the agent with the new code',
    );
  }
}

function planWithJitter(failedDials: number, ending: Ending): Redial {
  return planRedial(failedDials, ending, Math.random());
}
