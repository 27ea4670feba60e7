import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Access } from '../protocol/access.ts';
import { TomoError } from '../protocol/errors.ts';
import { agentProgram } from './agent-program.ts';
import { childEnvironment } from './config.ts';
import { acquireOwnerLock, type OwnerLock } from './db/owner-lock.ts';
import type { Caller, Fleet } from './fleet/fleet.ts';
import { parseArgs } from './fleet/operations.ts';

/** The server_id of the machine that Tomo itself runs on. */
const LOCAL_SERVER_ID = 'local';

const CHECK_MS = 1_000;
const CALLER: Caller = { actor: 'local', access: 'admin' };
/** The agent's status for a configuration that it cannot start with. */
const EXIT_CONFIGURATION = 2;

export interface LocalAgentOptions {
  readonly fleet: Fleet;
  readonly dataDir: string;
  readonly logLevel: string;
  readonly log: Logger;
}

type State = { status: string; access: Access } | undefined;

/**
 * Keeps an agent for this very machine running as a child process, one per data directory: installs it
 * if there is none, starts it again if it ends. It ends with this process, however that ends, and for
 * good when it is revoked.
 */
export class LocalAgent implements AsyncDisposable {
  readonly #options: LocalAgentOptions;
  readonly #directory: string;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #child: ChildProcess | undefined;
  #saidRevoked = false;

  constructor(options: LocalAgentOptions) {
    this.#options = options;
    this.#directory = join(options.dataDir, 'local-agent');
    this.#running = this.#keepRunning();
  }

  /** Resolves once the fleet says that the agent is connected. */
  async connected(signal: AbortSignal): Promise<void> {
    while ((await this.#state())?.status !== 'connected') {
      await delay(CHECK_MS / 10, undefined, { signal });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    this.#child?.kill('SIGTERM');
    await this.#running;
  }

  async #keepRunning(): Promise<void> {
    const { signal } = this.#stopping;
    let lock: OwnerLock | undefined;
    while (!signal.aborted) {
      try {
        // Two processes must not run an agent each on the same state.
        lock ??= this.#tryLock();
        if (lock !== undefined && !(await this.#runOnce())) break;
      } catch (error) {
        this.#options.log.error({ err: error }, 'the local agent could not be started');
      }
      await delay(CHECK_MS, undefined, { signal }).catch(() => undefined);
    }
    lock?.release();
  }

  #tryLock(): OwnerLock | undefined {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    return acquireOwnerLock(this.#directory);
  }

  async #state(): Promise<State> {
    try {
      return await this.#options.fleet.perform(
        'get_agent_status',
        { server_id: LOCAL_SERVER_ID },
        CALLER,
      );
    } catch (error) {
      if (error instanceof TomoError && error.name === 'UNKNOWN_SERVER') return undefined;
      throw error;
    }
  }

  /** Runs the agent to its end, if it is to run. False if there is no use in starting it again. */
  async #runOnce(): Promise<boolean> {
    const { fleet, log } = this.#options;
    const state = await this.#state();
    if (state?.status === 'connected') return true;
    if (state?.status === 'revoked') {
      if (!this.#saidRevoked) log.warn('agent "local" was revoked; install_agent brings it back');
      this.#saidRevoked = true;
      return true;
    }
    const access = state?.access ?? 'admin';
    const { registration_code: code } = await fleet.perform(
      'install_agent',
      parseArgs('install_agent', { server_id: LOCAL_SERVER_ID, access }),
      CALLER,
    );
    if (this.#stopping.signal.aborted) return false;
    const child = await this.#start(code, access);
    this.#child = child;
    await once(child, 'exit');
    if (this.#stopping.signal.aborted) return false;
    // The hub may not have seen its end yet; who is connected a moment later is another.
    await delay(CHECK_MS, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    if (child.exitCode === 0 && (await this.#state())?.status === 'connected') {
      log.warn('agent "local" was replaced by another; the one of this process stays away');
      return false;
    }
    if (child.exitCode === EXIT_CONFIGURATION) {
      log.error('the local agent cannot start with this environment; its message is above');
      return false;
    }
    log.warn({ code: child.exitCode }, 'the local agent ended; starting it again');
    return true;
  }

  async #start(code: string, access: Access): Promise<ChildProcess> {
    const { fleet, logLevel } = this.#options;
    const { url, fingerprint } = await fleet.perform('describe_owner', {}, CALLER);
    const { command, args } = agentProgram();
    return spawn(command, args, {
      env: childEnvironment({
        SERVER_URL: `${url.replace(/^http/, 'ws')}/ws/agent`,
        // It dials a loopback address, which hardly any certificate names.
        ...(fingerprint === undefined ? {} : { SERVER_FINGERPRINT: fingerprint }),
        REGISTER_CODE: code,
        ACCESS: access,
        DATA_DIR: this.#directory,
        LOG_LEVEL: logLevel,
        TOMO_AGENT_PARENT: '1',
      }),
      // Its standard input stays open for as long as this process lives, and tells it when to go.
      stdio: ['pipe', 'ignore', 'inherit'],
    });
  }
}
