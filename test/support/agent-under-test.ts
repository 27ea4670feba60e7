import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { MetricsSampler } from '../../agent/collectors/metrics.ts';
import { allHandlers } from '../../agent/commands/all-handlers.ts';
import {
  Connection,
  type ConnectionEnd,
  type ConnectionOptions,
} from '../../agent/connection/connection.ts';
import { chooseHub } from '../../agent/connection/hub-address.ts';
import { HubTransport } from '../../agent/connection/hub-transport.ts';
import type { Ending, Redial } from '../../agent/connection/redial.ts';
import { createDispatcher, type Dispatch } from '../../agent/dispatcher.ts';
import { Ceiling } from '../../agent/identity/ceiling.ts';
import { Credentials } from '../../agent/identity/credentials.ts';
import { KeptState } from '../../agent/identity/kept-state.ts';
import { type AgentState, StateFile } from '../../agent/identity/state.ts';
import { LiveSettings } from '../../agent/live-settings.ts';
import { OwnContainer } from '../../agent/own-container/own-container.ts';
import { RunningCommands } from '../../agent/running-commands.ts';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { HubStandIn } from './hub-stand-in.ts';

export interface StartOptions extends Partial<ConnectionOptions> {
  readonly registerCode?: string;
  readonly dispatch?: Dispatch;
  readonly dataDir?: string;
  /** Carries out its commands, with admin access; else each answers with its name. */
  readonly servesAgent?: boolean;
  /** Redials as a real agent does, and not at once. */
  readonly usesOwnPolicy?: boolean;
}

/** An agent's connection in this process, with a data directory and a hub stand-in of its own. */
export class AgentUnderTest implements AsyncDisposable {
  static readonly CODE = 'AAAA-BBBB-CCCC-DDDD';

  hubs: HubStandIn;
  readonly directory: string;
  readonly endings: Ending[] = [];
  logged = '';
  ending = new AbortController();
  readonly #runs: Promise<ConnectionEnd>[] = [];

  private constructor(hubs: HubStandIn, directory: string) {
    this.hubs = hubs;
    this.directory = directory;
  }

  static async create(): Promise<AgentUnderTest> {
    const directory = await mkdtemp(path.join(tmpdir(), 'tomo-connection-'));
    return new AgentUnderTest(await HubStandIn.start(), directory);
  }

  async start(options: StartOptions = {}) {
    const { registerCode, dataDir = this.directory, usesOwnPolicy, ...more } = options;
    const { dispatch, servesAgent = false, ...rest } = more;
    const log = pino({ level: 'trace' }, { write: (line: string) => this.#note(line) });
    const file = new StateFile(dataDir, log);
    const stored = await file.load(registerCode);
    const settings = new LiveSettings();
    const engine = new DockerEngine('unix:///no/such/socket');
    const state = new KeptState(file, stored);
    const given = { url: this.hubs.url, fingerprint: undefined };
    const links = {
      address: chooseHub(given, stored),
      given,
      transport: new HubTransport(),
      ceiling: new Ceiling(servesAgent ? 'admin' : 'operate', state, log),
      credentials: new Credentials({ state, registerCode, log }),
      settings,
      engine,
      sampler: new MetricsSampler(engine),
      log,
    };
    const parts = { ...links, dataDir, connection: () => connection };
    const echo: Dispatch = async (method) => method;
    const commands = new RunningCommands({
      dispatch: dispatch ?? (servesAgent ? realDispatch(parts) : echo),
      log,
    });
    const connection: Connection = new Connection({
      ...links,
      commands,
      firstPushMs: 60_000,
      ...(usesOwnPolicy === true
        ? {}
        : { redial: (failed: number, end: Ending) => this.#redialAtOnce(failed, end) }),
      ...rest,
    });
    const run = connection.run(this.ending.signal);
    // A test that expects a rejection awaits it itself.
    run.catch(() => undefined);
    this.#runs.push(run);
    return { settings, run };
  }

  /** A registration with CODE, as an earlier process leaves it. */
  async registerFirst(): Promise<void> {
    const { run } = await this.start({ registerCode: AgentUnderTest.CODE });
    await this.hubs.welcome();
    await this.untilLogged('"connected"');
    this.ending.abort();
    await run;
    this.ending = new AbortController();
    this.logged = '';
  }

  /** Refuses the next dial; gives its first message. */
  async refuse(code: string | undefined, closeCode: number): Promise<Record<string, unknown>> {
    const hub = await this.hubs.accept();
    const hello = await hub.next();
    hub.refuse(code, closeCode);
    return hello;
  }

  async stored(): Promise<AgentState> {
    const text = await readFile(path.join(this.directory, 'agent.json'), 'utf8');
    return JSON.parse(text) as AgentState;
  }

  async untilLogged(words: string): Promise<void> {
    while (!this.logged.includes(words)) await new Promise(setImmediate);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ending.abort();
    await Promise.allSettled(this.#runs);
    await this.hubs[Symbol.asyncDispose]();
    await rm(this.directory, { recursive: true });
  }

  #note(line: string): void {
    this.logged += line;
  }

  #redialAtOnce(failedDials: number, end: Ending): Redial {
    this.endings.push(end);
    return { delayMs: 1, failedDials: failedDials + 1 };
  }
}

type Links = Pick<
  ConnectionOptions,
  'transport' | 'ceiling' | 'credentials' | 'settings' | 'sampler' | 'log'
> & { readonly engine: DockerEngine; readonly dataDir: string; connection: () => Connection };

/** What carries out an agent's commands, outside a container and without an engine. */
function realDispatch({ connection, ...parts }: Links): Dispatch {
  const { engine, dataDir, ceiling, credentials, log } = parts;
  const handlers = allHandlers({
    ...parts,
    own: new OwnContainer({ engine, dataDir, isContained: false }),
    get access() {
      return ceiling.access;
    },
    get hubAddress() {
      return connection().address;
    },
    shell: async () => ({ scope: 'host', entrance: [], environment: {} }),
    rotateToken: (token) => credentials.rotate(token),
    lowerAccess: (access) => ceiling.lower(access),
    prepareMove: (target) => connection().prepareMove(target),
    dockerHost: undefined,
    hasParent: false,
    stop: () => undefined,
    onRestartFailure: () => undefined,
  });
  return createDispatcher({ handlers, ceiling, guard: async () => undefined, log });
}
