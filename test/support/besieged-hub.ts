import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, vi } from 'vitest';
import { answering, expectNoSurprise } from './commands.ts';
import { FakeAgent } from './fake-agent.ts';
import { installAgent, socketUrl } from './installed-agent.ts';
import type { TestClient } from './mcp-client.ts';
import type { Program, Started } from './processes.ts';
import { report } from './test-size.ts';
import { connect, startServer, TEST_TOKEN, type TomoServer } from './tomo.ts';

const FLEET = fileURLToPath(new URL('agent-fleet.ts', import.meta.url));
const CALLER = fileURLToPath(new URL('honest-caller.ts', import.meta.url));

const HONEST = ['honest-1', 'honest-2', 'honest-3'];
const USUAL_CALLS = 300;
const RSS_SETTLED = 1.01;
const CALLS_DURING_MIN = 20;
const SLOWER_AT_MOST = 10;
const RSS_MORE_AT_MOST = 1.2;
const RSS_RETURNS_WITHIN_MS = 60_000;
const MIB = 1024 * 1024;

/** An attacker's own agent: what it may do is hurt itself. */
export interface Credential {
  readonly serverId: string;
  readonly token: string;
}

/** A real server with honest agents whose calls are measured while somebody attacks it. */
export class BesiegedHub {
  readonly server: TomoServer;
  readonly client: TestClient;
  readonly url: string;
  readonly #started: Started;
  readonly #caller: Program;
  readonly #guest: Credential;

  private constructor(started: Started, server: TomoServer, client: TestClient, guest: Credential) {
    this.#started = started;
    this.server = server;
    this.client = client;
    this.url = socketUrl(server);
    this.#guest = guest;
    this.#caller = started.script(CALLER, [`${server.url}/mcp`, TEST_TOKEN, ...HONEST]);
  }

  static async start(started: Started): Promise<BesiegedHub> {
    const server = await startServer(started);
    const client = await connect(started, 'v2-auto', server.http);
    const environments: Record<string, Readonly<Record<string, string>>> = {};
    for (const name of HONEST) {
      environments[name] = (await installAgent(started, server, client, name)).environment;
    }
    const file = join(started.directory(), 'fleet.json');
    writeFileSync(file, JSON.stringify(environments));
    started.script(FLEET, [file]);
    await answering(client, ...HONEST);
    return new BesiegedHub(started, server, client, await enrol(started, server, client, 'guest'));
  }

  /** Makes one more agent, whose token the attacker has. */
  async agentOfAttacker(serverId: string): Promise<Credential> {
    return enrol(this.#started, this.server, this.client, serverId);
  }

  /** An honest agent at the attacker's address gets in with its token. */
  async letsGuestIn(): Promise<void> {
    const agent = await FakeAgent.dial(this.url);
    const { token } = this.#guest;
    const welcome = await agent.hello({ type: 'authenticate', token, version: '1.0.0' });
    expect(welcome).toMatchObject({ type: 'authenticated' });
    agent.cut();
  }

  /** Waits until the honest have called so many times more. */
  async honestCalls(count: number): Promise<void> {
    for (let waited = 0; waited < count; waited += CALLS_DURING_MIN) {
      await this.#calls(CALLS_DURING_MIN, this.#lines().length);
    }
  }

  /** Runs an attack and holds the hub to what the honest are promised. */
  async withstands<T>(title: string, attack: () => Promise<T>): Promise<T> {
    const usual = await this.#settle();
    const rssBefore = rss(this.server.program.pid);
    const from = this.#lines().length;
    const result = await attack();
    const during = (await this.#calls(CALLS_DURING_MIN, from)).slice(from);
    await this.letsGuestIn();
    const rssPeak = rss(this.server.program.pid);
    const rssAfter = await this.#rssReturns(rssBefore);
    const ratio = median(during) / usual;
    report(
      `${title}: ${during.length} honest calls, median ${median(during).toFixed(2)} ms, ` +
        `${ratio.toFixed(2)}x the usual ${usual.toFixed(2)} ms; hub RSS ${mib(rssBefore)} MiB before, ` +
        `${mib(rssPeak)} at the end, ${mib(rssAfter)} afterwards`,
    );
    expect(this.#lines().filter((line) => !line.endsWith(' '))).toEqual([]);
    expect(ratio).toBeLessThan(SLOWER_AT_MOST);
    expect(rssAfter).toBeLessThanOrEqual(rssBefore * RSS_MORE_AT_MOST);
    expectNoSurprise(this.server);
    return result;
  }

  /** Milliseconds of a usual call, once these calls alone make the hub's memory grow no more. */
  async #settle(): Promise<number> {
    for (;;) {
      const rssAtFirst = rss(this.server.program.pid);
      const from = this.#lines().length;
      const calls = (await this.#calls(USUAL_CALLS, from)).slice(from);
      if (rss(this.server.program.pid) < rssAtFirst * RSS_SETTLED) return median(calls);
    }
  }

  /** Milliseconds of all calls so far, when there are so many since `from`. */
  async #calls(count: number, from: number): Promise<number[]> {
    const enough = (): boolean => this.#lines().length >= from + count;
    await vi.waitUntil(enough, { timeout: 60_000, interval: 20 });
    return this.#lines().map((line) => Number(line.split(' ', 1)[0]));
  }

  #lines(): string[] {
    return this.#caller.output().split('\n').slice(0, -1);
  }

  /** Memory is given back when the collector gets to it, which honest calls bring about. */
  async #rssReturns(before: number): Promise<number> {
    let least = Number.POSITIVE_INFINITY;
    const isBack = (): boolean => {
      least = Math.min(least, rss(this.server.program.pid));
      return least <= before * RSS_MORE_AT_MOST;
    };
    await vi
      .waitUntil(isBack, { timeout: RSS_RETURNS_WITHIN_MS, interval: 100 })
      .catch(() => undefined);
    return least;
  }
}

async function enrol(
  started: Started,
  server: TomoServer,
  client: TestClient,
  serverId: string,
): Promise<Credential> {
  const { code } = await installAgent(started, server, client, serverId);
  const agent = await FakeAgent.dial(socketUrl(server));
  const welcome = await agent.hello({ type: 'register', code, version: '1.0.0' });
  agent.cut();
  return { serverId, token: String(welcome['token']) };
}

/** Bytes of a process that are in memory. */
export function rss(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(0);
}
