import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { agentProgram } from './agent-program.ts';
import { childEnvironment } from './config.ts';
import type { Caller, Fleet } from './fleet/fleet.ts';

/** The server_id of the machine that Tomo itself runs on. */
export const LOCAL_SERVER_ID = 'local';

const CHECK_MS = 1_000;
const CALLER: Caller = { actor: 'local', access: 'admin' };

export interface LocalAgentOptions {
  readonly fleet: Fleet;
  readonly dataDir: string;
  readonly logLevel: string;
  readonly log: Logger;
}

/**
 * Keeps an agent for this very machine running as a child process: installs it if it is not
 * connected, starts it again if it ends. It ends with this process, however that ends.
 */
export class LocalAgent implements AsyncDisposable {
  readonly #options: LocalAgentOptions;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #child: ChildProcess | undefined;

  constructor(options: LocalAgentOptions) {
    this.#options = options;
    this.#running = this.#keepRunning();
  }

  /** Resolves once the fleet says that the agent is connected. */
  async connected(signal: AbortSignal): Promise<void> {
    while (!(await this.#isConnected())) await delay(CHECK_MS / 10, undefined, { signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    this.#child?.kill('SIGTERM');
    await this.#running;
  }

  async #keepRunning(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        if (!(await this.#isConnected())) await this.#runOnce();
      } catch (error) {
        this.#options.log.error({ err: error }, 'the local agent could not be started');
      }
      await delay(CHECK_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #isConnected(): Promise<boolean> {
    const { fleet } = this.#options;
    const { agents } = await fleet.perform(
      'list_agents',
      { status: 'connected', limit: 1_000 },
      CALLER,
    );
    return agents.some((agent) => agent.server_id === LOCAL_SERVER_ID);
  }

  async #runOnce(): Promise<void> {
    const { fleet, dataDir, logLevel, log } = this.#options;
    const { url } = await fleet.perform('describe_owner', {}, CALLER);
    const { registration_code } = await fleet.perform(
      'install_agent',
      { server_id: LOCAL_SERVER_ID, access: 'admin' },
      CALLER,
    );
    if (this.#stopping.signal.aborted) return;
    const { command, args } = agentProgram();
    const child = spawn(command, args, {
      env: childEnvironment({
        SERVER_URL: `${url.replace(/^http/, 'ws')}/ws/agent`,
        REGISTER_CODE: registration_code,
        ACCESS: 'admin',
        DATA_DIR: join(dataDir, 'local-agent'),
        LOG_LEVEL: logLevel,
        TOMO_AGENT_PARENT: '1',
      }),
      // Its standard input stays open for as long as this process lives, and tells it when to go.
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    this.#child = child;
    await once(child, 'exit');
    if (!this.#stopping.signal.aborted)
      log.warn({ code: child.exitCode }, 'the local agent ended; starting it again');
  }
}
