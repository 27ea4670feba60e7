import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { WebSocket } from 'ws';
import { methodNames } from '../../protocol/commands/catalogue.ts';
import type { Hello, Welcome } from '../../protocol/handshake.ts';
import { PROTOCOL_REVISION, VERSION } from '../../protocol/version.ts';
import type { EngineProbe } from '../engine-probe.ts';
import { identifyHost } from '../host-info.ts';
import type { Ceiling } from '../identity/ceiling.ts';
import type { Credential, Credentials } from '../identity/credentials.ts';
import type { LiveSettings } from '../live-settings.ts';
import type { RunningCommands } from '../running-commands.ts';
import { DialError, type DialOptions, dial, NOT_REACHED } from './dial.ts';
import type { HubAddress } from './hub-address.ts';
import type { HubRoute, HubTransport } from './hub-transport.ts';
import { Session, type SessionLimits } from './session.ts';

export interface HubDiallerOptions {
  readonly transport: HubTransport;
  readonly ceiling: Ceiling;
  readonly credentials: Credentials;
  readonly settings: LiveSettings;
  readonly engine: EngineProbe;
  readonly commands: RunningCommands;
  readonly log: Logger;
  /** Another program of ours says where it dials and which certificate it expects there. */
  readonly hasParent?: boolean;
  readonly limits?: Partial<SessionLimits>;
  readonly dialTimeouts?: Pick<
    DialOptions,
    'openTimeoutMs' | 'welcomeTimeoutMs' | 'refusedCloseMs'
  >;
}

/** Notifications of the hub that are not about a call. */
type OnNotification = (method: string, params: unknown, session: Session) => void;

/** Gets this process of the agent from an address to a session there. */
export class HubDialler {
  readonly #options: HubDiallerOptions;
  readonly #onNotification: OnNotification;
  readonly #instanceId = randomUUID();

  constructor(options: HubDiallerOptions, onNotification: OnNotification) {
    this.#options = options;
    this.#onNotification = onNotification;
  }

  /**
   * With this credential, and with each that there is to fall back on after a refusal. Resolves when
   * what the hub said is kept, if it can be. Throws DialError.
   */
  async connect(
    credential: Credential,
    address: HubAddress,
    signal: AbortSignal,
  ): Promise<Session> {
    try {
      return await this.#dial(credential, address, signal);
    } catch (error) {
      if (!(error instanceof DialError)) throw error;
      const fallback = this.#options.credentials.fallback(credential, error);
      if (fallback === undefined) throw error;
      return await this.connect(fallback, address, signal);
    }
  }

  async #dial(credential: Credential, address: HubAddress, signal: AbortSignal): Promise<Session> {
    const { ceiling, credentials, settings, log, dialTimeouts } = this.#options;
    const attach = (socket: WebSocket, welcome: Welcome) => {
      settings.welcome(welcome.agent_id, welcome.config);
      settings.collectLogs(welcome.log_collection);
      // Begun before any request of the hub is served, which it may already have sent.
      const kept = credentials.accepted(credential, welcome, address);
      const lowered = ceiling.welcomed(welcome);
      const session = this.#session(socket, welcome);
      return { session, welcome, kept: Promise.all([kept, lowered]) };
    };
    const { url } = address;
    const hello = async (): Promise<Hello> => await this.#hello(credential, url, signal);
    const route = await this.#route(address);
    const dialling = dial({ url, route, hello, signal, ...dialTimeouts }, attach);
    const { session, welcome, kept } = await dialling;
    await kept;
    const { agent_id, type: how, candidate = false } = welcome;
    log.info({ agent_id, how, candidate }, 'connected');
    return session;
  }

  #session(socket: WebSocket, welcome: Welcome): Session {
    const { commands, log, limits } = this.#options;
    const session: Session = new Session(socket, {
      commands,
      confirms: welcome.protocol !== undefined,
      streamWindowBytes: welcome.limits?.stream_window_bytes,
      log,
      ...(limits && { limits }),
      onNotification: (method, params) => {
        this.#onNotification(method, params, session);
      },
    });
    return session;
  }

  async #route(address: HubAddress): Promise<HubRoute> {
    try {
      return await this.#options.transport.route(address);
    } catch (cause) {
      throw new DialError({ closeCode: NOT_REACHED, cause });
    }
  }

  async #hello(credential: Credential, url: string, signal: AbortSignal): Promise<Hello> {
    const { ceiling, engine, commands, hasParent = false } = this.#options;
    const host = await identifyHost(engine, signal);
    return {
      ...credential,
      version: VERSION,
      protocol: PROTOCOL_REVISION,
      host,
      capabilities: [...methodNames()],
      access: ceiling.introducedWith(credential.type),
      instance_id: this.#instanceId,
      // Left out, the hub asks for no move.
      ...(hasParent ? {} : { server_url: url }),
      held: commands.held(),
    };
  }
}
