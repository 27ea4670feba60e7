import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { WebSocket } from 'ws';
import type { Access } from '../protocol/access.ts';
import { methodNames } from '../protocol/commands/catalogue.ts';
import { CLOSE_CODES, type Hello, type Welcome } from '../protocol/handshake.ts';
import { PROMOTED_METHOD, RETIRE_METHOD } from '../protocol/json-rpc.ts';
import { RETIRE_MAX_MS } from '../protocol/limits.ts';
import { PROTOCOL_REVISION, VERSION } from '../protocol/version.ts';
import type { MetricsSampler } from './collectors/metrics.ts';
import type { Credential, Credentials } from './credentials.ts';
import { DialError, type DialOptions, dial } from './dial.ts';
import type { Dispatch } from './dispatcher.ts';
import type { EngineProbe } from './engine-probe.ts';
import { identifyHost } from './host-info.ts';
import type { LiveSettings } from './live-settings.ts';
import { type Ending, planRedial, type Redial } from './redial.ts';
import { Session, type SessionLimits } from './session.ts';
import { startTelemetry } from './telemetry.ts';

export interface ConnectionOptions {
  readonly url: string;
  readonly access: Access;
  readonly credentials: Credentials;
  readonly settings: LiveSettings;
  readonly engine: EngineProbe;
  readonly sampler: MetricsSampler;
  readonly dispatch: Dispatch;
  readonly log: Logger;
  readonly limits?: Partial<SessionLimits>;
  readonly dialTimeouts?: Pick<DialOptions, 'welcomeTimeoutMs' | 'refusedCloseMs'>;
  /** From the welcome to the first metrics and health. */
  readonly firstPushMs?: number;
  /** Told at every change of whether the agent is authenticated. */
  readonly onPresence?: (isConnected: boolean) => void;
  /** What a retired agent may take to finish its commands. */
  readonly retireMaxMs?: number;
  readonly redial?: (failedDials: number, ending: Ending) => Redial;
}

/**
 * Why an agent no longer dials: it was told to end, the hub revoked it, a candidate took its place,
 * or it has neither a token nor a code that could still be good.
 */
export type ConnectionEnd = 'stopped' | 'revoked' | 'retired' | 'spent';

const FIRST_PUSH_MS = 500;

/** Keeps this agent connected to its hub: dials, serves, and dials again. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #instanceId = randomUUID();
  #hasAdvised = false;
  #isRetired = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** Until the signal aborts or the hub has no more use for the agent. Throws as Credentials.next does. */
  async run(signal: AbortSignal): Promise<ConnectionEnd> {
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
    const { credentials, log } = this.#options;
    if (this.#isRetired) {
      await credentials.forget();
      log.info('this agent was replaced: its token is forgotten and it will not dial again');
      return 'retired';
    }
    const isRevoked = closeCode === CLOSE_CODES.REVOKED;
    if (isRevoked) await credentials.forget();
    if (!credentials.isSpent) return undefined;
    if (!isRevoked) return 'spent';
    log.warn('this agent was revoked: its token is forgotten and it will not dial again');
    return 'revoked';
  }

  /** One dial and the session it leads to. */
  async #attempt(signal: AbortSignal): Promise<Ending> {
    const { log } = this.#options;
    try {
      const session = await this.#connect(signal);
      return await this.#serve(session, signal);
    } catch (error) {
      if (!(error instanceof DialError)) throw error;
      const { closeCode, refusal } = error;
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

  async #connect(signal: AbortSignal): Promise<Session> {
    const { credentials } = this.#options;
    const credential = await credentials.next();
    try {
      return await this.#dial(credential, signal);
    } catch (error) {
      if (!(error instanceof DialError)) throw error;
      const fallback = credentials.fallback(credential, error);
      if (fallback === undefined) throw error;
      return await this.#dial(fallback, signal);
    }
  }

  async #dial(credential: Credential, signal: AbortSignal): Promise<Session> {
    const { url, credentials, settings, dispatch, log, limits, dialTimeouts } = this.#options;
    const attach = (socket: WebSocket, welcome: Welcome) => {
      settings.welcome(welcome.agent_id, welcome.config);
      const onNotification = (method: string): void => {
        void this.#notified(method, session);
      };
      const session = new Session(socket, {
        dispatch,
        log,
        ...(limits && { limits }),
        onNotification,
      });
      return { session, welcome };
    };
    const hello = async (): Promise<Hello> => await this.#hello(credential, signal);
    const { session, welcome } = await dial({ url, hello, signal, ...dialTimeouts }, attach);
    await credentials.keep(credential, welcome);
    this.#hasAdvised = false;
    const { agent_id, type: how, candidate = false } = welcome;
    log.info({ agent_id, how, candidate }, 'connected');
    return session;
  }

  async #notified(method: string, session: Session): Promise<void> {
    const { credentials, log, retireMaxMs = RETIRE_MAX_MS } = this.#options;
    if (method === PROMOTED_METHOD) {
      log.info('promoted: this process is the agent from now on');
      await credentials.promoted();
    } else if (method === RETIRE_METHOD) {
      // Remembered first: the hub may close the socket before this side does.
      this.#isRetired = true;
      await session.retire(retireMaxMs);
    } else {
      log.debug({ method }, 'notification ignored');
    }
  }

  async #hello(credential: Credential, signal: AbortSignal): Promise<Hello> {
    const { access, engine } = this.#options;
    return {
      ...credential,
      version: VERSION,
      protocol: PROTOCOL_REVISION,
      host: await identifyHost(engine, signal),
      capabilities: [...methodNames()],
      access,
      instance_id: this.#instanceId,
    };
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
    const end = await session.closed;
    onPresence?.(false);
    telemetry[Symbol.dispose]();
    await disposed;
    signal.removeEventListener('abort', onAbort);
    log.info({ close_code: end.closeCode, reason: end.reason }, 'disconnected');
    return end;
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
