import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, expect, it } from 'vitest';
import {
  answering,
  commandRows,
  exec,
  expectNoSurprise,
  inFlight,
  send,
  settledRows,
} from '../support/commands.ts';
import { FakeAgent, PONG } from '../support/fake-agent.ts';
import { eventually } from '../support/hub.ts';
import { installAgent, socketUrl } from '../support/installed-agent.ts';
import type { TestClient } from '../support/mcp-client.ts';
import { type Program, Started } from '../support/processes.ts';
import { canMount, SmallDisk } from '../support/small-disk.ts';
import { connect, startAgent, startServer, type TomoServer } from '../support/tomo.ts';

const UNAVAILABLE = { error: { name: 'DATABASE_UNAVAILABLE' } };

let started = new Started();

afterEach(async () => {
  await started[Symbol.asyncDispose]();
  started = new Started();
});

interface World {
  readonly server: TomoServer;
  readonly client: TestClient;
  readonly agents: Program[];
}

async function twoAgents(dataDir: string): Promise<World> {
  const server = await startServer(started, { dataDir });
  const client = await connect(started, 'v2-auto', server.http);
  const agents = [];
  for (const name of ['web-1', 'web-2']) {
    agents.push(await startAgent(started, server, client, name));
  }
  return { server, client, agents };
}

/** While `refuse` holds, calls say so and nothing else breaks; afterwards all is as it was. */
async function survives(world: World, refuse: () => unknown, relent: () => unknown): Promise<void> {
  const { server, client, agents } = world;
  const gate = join(started.directory(), 'gate');
  const held = exec(client, 'web-1', `mkfifo ${gate}; cat ${gate}`);
  await inFlight(server, 1);

  await refuse();
  // What fits into pages that the database has already may still be written.
  const refused = await eventually(async () => {
    const answer = await send(client, 'web-2');
    expect(answer).toMatchObject(UNAVAILABLE);
    return answer;
  });
  expect(refused.error?.message).toMatch(/disk|Another program|not writable/);
  const begun = commandRows(server.dataDir);
  // The command that was under way ends meanwhile, and its caller gets its answer.
  await agents[1]?.line('connected');
  const go = started.script(...shell(`echo go > ${gate}`));
  await go.ended;
  expect(await held).toMatchObject({ status: 'succeeded', result: { stdout: 'go\n' } });
  expect(await client.callTool('list_agents', {})).toMatchObject({
    structuredContent: { agents: [{ status: 'connected' }, { status: 'connected' }] },
  });

  await relent();
  await answering(client, 'web-1', 'web-2');
  const rows = await settledRows(server.dataDir);
  expect(rows.filter(({ status }) => status !== 'succeeded')).toEqual([]);
  // A refused command left no row: begun before, and the answered pings after.
  expect(rows.length).toBeLessThanOrEqual(begun.length + 2 + 1);
  for (const agent of agents) expect(agent.log()).not.toContain('disconnected');
  expectNoSurprise(server);
}

function shell(line: string): [string, string[]] {
  const become = join(import.meta.dirname, '..', 'support', 'become.ts');
  return [become, ['sh', '-c', line]];
}

it.runIf(canMount)('on a full disk', async () => {
  const disk = await SmallDisk.mount(started, 12);
  const world = await twoAgents(disk.path);
  await survives(
    world,
    () => disk.fill(),
    () => disk.makeRoom(),
  );
});

it('locked by another program', async () => {
  const world = await twoAgents(started.directory());
  const other = new Sqlite(join(world.server.dataDir, 'tomo.db'));
  started.defer(() => void other.close());
  await survives(
    world,
    () => other.exec('BEGIN IMMEDIATE'),
    () => other.exec('COMMIT'),
  );
});

it.runIf(canMount)(
  'on a file system that became read-only, said in one line at the start',
  async () => {
    const disk = await SmallDisk.mount(started, 12);
    const { server } = await twoAgents(disk.path);
    await server.program.stop('SIGKILL');
    await disk.makeReadOnly();
    const again = started.tomo(['serve', ...server.flags], { TOMO_TOKEN: 't'.repeat(32) });
    expect(await again.ended).toBe(1);
    const [line, ...more] = again.log().split('\n');
    expect(line).toMatch(/not writable|cannot be written/);
    expect(more).toEqual([]);
  },
);

it('locked while an agent arrives: it is not let in half, and gets in afterwards', async () => {
  const server = await startServer(started);
  const client = await connect(started, 'v2-auto', server.http);
  const { code } = await installAgent(started, server, client, 'web-1');
  const other = new Sqlite(join(server.dataDir, 'tomo.db'));
  started.defer(() => void other.close());
  other.exec('BEGIN IMMEDIATE');
  const early = await FakeAgent.dial(socketUrl(server));
  const refusal = await early.hello({ type: 'register', code, version: '1.0.0' });
  expect(refusal).not.toHaveProperty('token');
  // A fault of the hub, after which dialling again is right.
  expect(await early.closed).toMatchObject({ code: 1011 });
  other.exec('COMMIT');

  const agent = await FakeAgent.dial(socketUrl(server));
  const welcome = await agent.hello({ type: 'register', code, version: '1.0.0' });
  expect(welcome).toMatchObject({ type: 'registered' });
  const ping = send(client, 'web-1');
  agent.answer((await agent.request()).id, PONG);
  expect(await ping).toMatchObject({ status: 'succeeded' });
});
