import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { expect, onTestFinished, vi } from 'vitest';
import type { ClientOptions } from 'ws';
import type { Access } from '../../protocol/access.ts';
import type { AgentCall } from '../../src/agent-hub/agent-call.ts';
import { AgentHub } from '../../src/agent-hub/agent-hub.ts';
import { hashRegistrationCode, newRegistrationCode } from '../../src/agent-hub/credentials.ts';
import type { HubTimings } from '../../src/agent-hub/timings.ts';
import type { AgentRow } from '../../src/db/agent-row.ts';
import { FakeAgent, type Message } from './fake-agent.ts';
import { type DatabaseHandle, temporaryDatabase } from './temporary-database.ts';

const HOUR_MS = 3_600_000;

export interface Joined {
  agent: FakeAgent;
  agentId: string;
  token: string;
  welcome: Message;
}

/** A hub on a port of its own with a real database in a file, ended when the test is over. */
export class TestHub {
  readonly hub: AgentHub;
  readonly database: DatabaseHandle;
  readonly logged: Message[];
  readonly url: string;
  readonly #streams: Socket[] = [];
  #open = 0;

  constructor(hub: AgentHub, database: DatabaseHandle, logged: Message[], server: Server) {
    this.hub = hub;
    this.database = database;
    this.logged = logged;
    server.on('connection', (stream) => {
      this.#streams.push(stream);
      this.#open += 1;
      stream.on('close', () => {
        this.#open -= 1;
      });
    });
    this.url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws/agent`;
  }

  /** TCP connections to the hub, of any kind. */
  get openConnections(): number {
    return this.#open;
  }

  dial(options: ClientOptions = {}): Promise<FakeAgent> {
    return FakeAgent.dial(this.url, options);
  }

  /** Bytes that the hub has read from all connections. */
  get bytesRead(): number {
    return this.#streams.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
  }

  /** Breaks all connections without a closing handshake. */
  cutConnections(): void {
    for (const stream of this.#streams) stream.destroy();
  }

  /** Makes a server's agent; answers its id and a fresh code. */
  async install(
    serverId: string,
    { access = 'admin', ttlMs = HOUR_MS }: { access?: Access; ttlMs?: number } = {},
  ): Promise<{ agentId: string; code: string }> {
    const code = newRegistrationCode();
    const now = Date.now();
    const { id } = await this.database.db.agents.install({
      agentId: randomUUID(),
      serverId,
      access,
      codeId: randomUUID(),
      codeHash: hashRegistrationCode(code),
      expiresAt: now + ttlMs,
      now,
    });
    return { agentId: id, code };
  }

  /** Installs and registers an agent; `hello` are fields beyond the seed's. */
  async join(
    serverId: string,
    hello: Message = {},
    { access, ...options }: ClientOptions & { access?: Access } = {},
  ): Promise<Joined> {
    const { agentId, code } = await this.install(serverId, access === undefined ? {} : { access });
    const agent = await this.dial(options);
    const welcome = await agent.hello({ type: 'register', code, version: '1.0.0', ...hello });
    expect(welcome).toMatchObject({ type: 'registered', agent_id: agentId });
    return { agent, agentId, token: String(welcome['token']), welcome };
  }

  /** A new socket of an agent that has a token. */
  async rejoin(token: string, hello: Message = {}, options: ClientOptions = {}) {
    const agent = await this.dial(options);
    const welcome = await agent.hello({ type: 'authenticate', token, version: '1.0.0', ...hello });
    return { agent, welcome };
  }

  /** A call of `agent.ping` unless told otherwise. */
  call(agentId: string, call: Partial<AgentCall> = {}): Promise<unknown> {
    return this.hub.call(agentId, {
      id: randomUUID(),
      method: 'agent.ping',
      params: {},
      access: 'admin',
      ...call,
    });
  }

  async row(agentId: string): Promise<AgentRow | undefined> {
    return await this.database.db.agents.findById(agentId);
  }

  /** Rows written since the database was opened. */
  get writes(): number {
    return this.database.client.prepare('SELECT total_changes()').pluck().get() as number;
  }
}

export async function startHub({
  timings = {},
  database = temporaryDatabase(),
  ...options
}: {
  timings?: Partial<HubTimings>;
  /** Of an earlier hub. */
  database?: DatabaseHandle;
  clientAddress?: (request: IncomingMessage) => string;
} = {}): Promise<TestHub> {
  const logged: Message[] = [];
  const log = pino(
    { level: 'debug' },
    new Writable({
      write: (line, _encoding, done) => {
        logged.push(JSON.parse(String(line)) as Message);
        done();
      },
    }),
  );
  // Telemetry is written when a test says so.
  const hub = new AgentHub({
    db: database.db,
    log,
    timings: { flushMs: HOUR_MS, ...timings },
    ...options,
  });
  await hub.start();
  const server = createServer();
  server.on('upgrade', (request, stream, head) => {
    stream.on('error', () => stream.destroy());
    hub.accept(request, stream, head);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    await hub.close();
    hub.terminate();
    server.close();
    server.closeAllConnections();
  });
  return new TestHub(hub, database, logged, server);
}

/** Waits until an expectation holds. */
export function eventually<T>(expectation: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(expectation, { timeout: 20_000, interval: 5 });
}
