import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { MetricsSampler } from '../../agent/collectors/metrics.ts';
import { Connection, type ConnectionEnd, type ConnectionOptions } from '../../agent/connection.ts';
import { Credentials } from '../../agent/credentials.ts';
import { LiveSettings } from '../../agent/live-settings.ts';
import type { Ending, Redial } from '../../agent/redial.ts';
import { type AgentState, StateFile } from '../../agent/state.ts';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { HubStandIn } from './hub-stand-in.ts';

export interface StartOptions extends Partial<ConnectionOptions> {
  readonly registerCode?: string;
  readonly dataDir?: string;
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
    const { registerCode, dataDir = this.directory, usesOwnPolicy, ...rest } = options;
    const log = pino({ level: 'trace' }, { write: (line: string) => this.#note(line) });
    const file = new StateFile(dataDir, log);
    const stored = await file.load(registerCode);
    const settings = new LiveSettings();
    const engine = new DockerEngine('unix:///no/such/socket');
    const url = this.hubs.url;
    const connection = new Connection({
      url,
      access: 'operate',
      credentials: new Credentials({ file, stored, registerCode, serverUrl: url, log }),
      settings,
      engine,
      sampler: new MetricsSampler(engine),
      dispatch: async (method) => method,
      log,
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
