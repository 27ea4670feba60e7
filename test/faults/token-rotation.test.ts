import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, expect, it } from 'vitest';
import { z } from 'zod';
import { hashToken, newToken } from '../../src/agent-hub/credentials.ts';
import { readAgentState, writeAgentState } from '../support/agent-state.ts';
import { answering, expectNoSurprise, settledRows } from '../support/commands.ts';
import { FakeAgent, type Message } from '../support/fake-agent.ts';
import { type InstalledAgent, installAgent, socketUrl } from '../support/installed-agent.ts';
import type { TestClient } from '../support/mcp-client.ts';
import { type Program, Started } from '../support/processes.ts';
import { seededRandom, sized, testSeed } from '../support/test-size.ts';
import { connect, startServer, type TomoServer } from '../support/tomo.ts';

const ROTATIONS = sized({ short: 6, full: 100 });
const HOUR_MS = 3_600_000;

let started = new Started();

afterEach(async () => {
  await started[Symbol.asyncDispose]();
  started = new Started();
});

/** What the hub's row can say of the two tokens at the moment somebody crashes. */
type Columns = Readonly<Record<string, string | number | null>>;
interface Tokens {
  readonly old: string;
  readonly offered: string;
}
const ROWS: Record<string, (tokens: Tokens) => Columns> = {
  'nothing offered': ({ old }) => row(hashToken(old), null, 0, null),
  offered: ({ old, offered }) => row(hashToken(old), hashToken(offered), 0, soon()),
  stored: ({ old, offered }) => row(hashToken(old), hashToken(offered), 1, soon()),
  'offered, grace over': ({ old, offered }) => row(hashToken(old), hashToken(offered), 0, past()),
  'stored, grace over': ({ old, offered }) => row(hashToken(old), hashToken(offered), 1, past()),
  'in force': ({ offered }) => row(hashToken(offered), null, 0, null),
};

function row(
  token: string,
  pending: string | null,
  stored: number,
  expiresAt: number | null,
): Columns {
  return {
    token_hash: token,
    pending_token_hash: pending,
    pending_token_stored: stored,
    pending_token_expires_at: expiresAt,
  };
}

const soon = (): number => Date.now() + HOUR_MS;
const past = (): number => Date.now() - HOUR_MS;

/** What the agent's file can hold: before it kept the new token, after, and after its first use. */
const BEFORE = ({ old }: Tokens): Message => ({ token: old });
const KEPT = ({ old, offered }: Tokens): Message => ({ token: offered, previous_token: old });
const USED = ({ offered }: Tokens): Message => ({ token: offered });

// Every pair that a crash of either side can leave, in the order of the steps.
it.each([
  ['nothing offered', 'before', BEFORE],
  ['offered', 'before', BEFORE],
  ['offered, grace over', 'before', BEFORE],
  ['offered', 'kept, not answered', KEPT],
  ['offered, grace over', 'kept, not answered', KEPT],
  // The grace of an answer that was lost has ended.
  ['nothing offered', 'kept, not answered', KEPT],
  ['stored', 'kept and answered', KEPT],
  ['stored, grace over', 'kept and answered', KEPT],
  ['in force', 'used, welcome lost', KEPT],
  ['in force', 'used and welcomed', USED],
])('hub: %s; agent: %s: it authenticates', async (hubState, _title, agentState) => {
  const server = await startServer(started);
  const client = await connect(started, 'v2-auto', server.http);
  const installed = await installAgent(started, server, client, 'web-1');
  await (await installed.start()).stop('SIGKILL');
  await server.program.stop('SIGKILL');
  const state = readAgentState(installed.dataDir);
  const tokens = { old: state.token, offered: newToken() };
  setRow(server.dataDir, ROWS[hubState]?.(tokens) ?? {});
  writeAgentState(installed.dataDir, { ...state, ...agentState(tokens) });

  const again = await startServer(started, { dataDir: server.dataDir, port: server.port });
  const agent = await installed.start();
  const later = await connect(started, 'v2-auto', again.http);
  await answering(later, 'web-1');
  expect(agent.log()).toContain('"how":"authenticated"');
  // What it kept is what the hub knows.
  const kept = readAgentState(installed.dataDir);
  expect([tokens.old, tokens.offered]).toContain(kept.token);
  await agent.stop('SIGKILL');
  await installed.start();
  await answering(later, 'web-1');
});

function setRow(dataDir: string, columns: Columns): void {
  const database = new Sqlite(join(dataDir, 'tomo.db'));
  const names = Object.keys(columns).map((name) => `${name} = @${name}`);
  database.prepare(`UPDATE agents SET ${names.join(', ')}`).run(columns);
  database.close();
}

const paramsSchema = z.object({ token: z.string() });

/** What an agent that plays by the rules holds after each step of a rotation that the hub dies in. */
const STEPS: Record<string, (hub: Program, agent: FakeAgent, id: string) => Promise<unknown>> = {
  'before the agent reads it': (hub) => hub.stop('SIGKILL'),
  'before the agent answers': (hub) => hub.stop('SIGKILL'),
  'while the answer is on its way': (hub, agent, id) => {
    agent.answer(id, { status: 'stored' });
    return hub.stop('SIGKILL');
  },
  'when it was told': (hub) => hub.stop('SIGKILL'),
};

it.each(Object.keys(STEPS))(
  'a hub killed %s takes every token that the agent may hold',
  async (step) => {
    const server = await startServer(started);
    const client = await connect(started, 'v2-auto', server.http);
    const { code } = await installAgent(started, server, client, 'web-1');
    const agent = await FakeAgent.dial(socketUrl(server));
    const capabilities = ['agent.ping', 'agent.rotate_token'];
    const hello = { version: '1.0.0', protocol: 1, capabilities };
    const welcome = await agent.hello({ type: 'register', code, ...hello });
    const rotation = rotate(client);
    const { id, method, params } = await agent.request();
    expect(method).toBe('agent.rotate_token');
    const offered = paramsSchema.parse(params).token;
    if (step === 'when it was told') {
      agent.answer(id, { status: 'stored' });
      expect(await rotation).toMatchObject({ structuredContent: { status: 'stored' } });
    }
    await STEPS[step]?.(server.program, agent, id);
    await rotation;

    await startServer(started, { dataDir: server.dataDir, port: server.port });
    // The old one while the new one is unused, then the new one, then the old one no more.
    for (const [token, type] of [
      [String(welcome['token']), 'authenticated'],
      [offered, 'authenticated'],
      [offered, 'authenticated'],
      [String(welcome['token']), undefined],
    ]) {
      const next = await FakeAgent.dial(socketUrl(server));
      expect((await next.hello({ type: 'authenticate', token, ...hello }))['type']).toBe(type);
    }
  },
);

it(`${ROTATIONS} rotations, each with the hub or the agent killed at some point, lose no agent`, {
  timeout: 60_000 + ROTATIONS * 15_000,
}, async () => {
  const random = seededRandom(testSeed());
  let server = await startServer(started);
  const client = await connect(started, 'v2-auto', server.http);
  const installed = await installAgent(started, server, client, 'web-1');
  let agent = await installed.start();
  for (let round = 0; round < ROTATIONS; round += 1) {
    const caller = await connect(started, 'v2-auto', server.http);
    await answering(caller, 'web-1');
    const rotation = rotate(caller);
    await turns(Math.floor(random() * 2_000));
    if (round % 2 === 0) [server] = await Promise.all([restart(server), rotation]);
    else [agent] = await Promise.all([restartAgent(agent, installed), rotation]);
  }
  const last = await connect(started, 'v2-auto', server.http);
  await answering(last, 'web-1');
  expect(await rotate(last)).toMatchObject({ structuredContent: { status: 'stored' } });
  expect(agent.log()).not.toMatch(/does not know this agent|revoked/);
  await settledRows(server.dataDir);
  expectNoSurprise(server);
});

/** However it ends. */
function rotate(client: TestClient): Promise<unknown> {
  return client
    .callTool('rotate_agent_token', { server_id: 'web-1' })
    .catch((error: unknown) => error);
}

/** A moment that differs: so many turns of the event loop. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise(setImmediate);
}

async function restart(server: TomoServer): Promise<TomoServer> {
  await server.program.stop('SIGKILL');
  return startServer(started, { dataDir: server.dataDir, port: server.port });
}

async function restartAgent(agent: Program, installed: InstalledAgent): Promise<Program> {
  await agent.stop('SIGKILL');
  return installed.start();
}
