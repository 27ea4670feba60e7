import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import {
  answering,
  commandRows,
  exec,
  expectNoSurprise,
  inFlight,
  settledRows,
} from '../support/commands.ts';
import { FakeAgent } from '../support/fake-agent.ts';
import { installAgent, socketUrl } from '../support/installed-agent.ts';
import { type Program, Started } from '../support/processes.ts';
import { connect, startServer } from '../support/tomo.ts';

const HOUR_MS = 3_600_000;
const CLOCK = new URL('../support/shifted-clock.ts', import.meta.url).href;
const NODE_OPTIONS = `--import=${CLOCK}`;

let started = new Started();

afterEach(async () => {
  await started[Symbol.asyncDispose]();
  started = new Started();
});

async function jump(program: Program): Promise<void> {
  const since = program.lineCount();
  process.kill(program.pid, 'SIGUSR2');
  await program.line('the clock jumped', since);
}

it.each([
  ['forward', 26],
  ['back', -26],
])('the hub’s clock jumps %s: nothing ends, nothing expires but codes', async (_title, hours) => {
  const env = { NODE_OPTIONS, CLOCK_JUMP_MS: String(hours * HOUR_MS) };
  const server = await startServer(started, { env });
  const client = await connect(started, 'v2-auto', server.http);
  const agents = [];
  for (const name of ['web-1', 'web-2']) {
    agents.push(await (await installAgent(started, server, client, name)).start());
  }
  const unused = await installAgent(started, server, client, 'web-3');
  const gate = join(started.directory(), 'gate');
  const held = exec(client, 'web-1', `mkfifo ${gate}; cat ${gate}`);
  await inFlight(server, 1);

  await jump(server.program);
  await answering(client, 'web-1', 'web-2');
  await exec(client, 'web-2', `echo go > ${gate}`);
  expect(await held).toMatchObject({ status: 'succeeded', result: { stdout: 'go\n' } });
  const rows = await settledRows(server.dataDir);
  for (const { duration_ms } of rows) {
    expect(duration_ms).toBeGreaterThanOrEqual(0);
    expect(duration_ms).toBeLessThan(HOUR_MS);
  }
  // Codes are the hub's own: they keep to its clock, and to nobody else's.
  const early = await FakeAgent.dial(socketUrl(server));
  const answer = await early.hello({ type: 'register', code: unused.code, version: '1.0.0' });
  expect(answer).toMatchObject(hours > 0 ? { code: 'CODE_EXPIRED' } : { type: 'registered' });
  const fresh = await installAgent(started, server, client, 'web-4');
  await fresh.start();
  for (const agent of agents) expect(agent.log()).not.toContain('disconnected');
  expectNoSurprise(server);
});

it('agents whose clocks are a day apart from the hub’s, and jump, work like any other', async () => {
  const server = await startServer(started);
  const client = await connect(started, 'v2-auto', server.http);
  const shifts = { 'web-1': -24, 'web-2': 24 };
  const agents = [];
  for (const [name, hours] of Object.entries(shifts)) {
    const installed = await installAgent(started, server, client, name);
    const shift = String(hours * HOUR_MS);
    agents.push(
      await installed.start({ NODE_OPTIONS, CLOCK_SHIFT_MS: shift, CLOCK_JUMP_MS: shift }),
    );
  }
  await answering(client, 'web-1', 'web-2');
  const gate = join(started.directory(), 'gate');
  const held = exec(client, 'web-1', `mkfifo ${gate}; cat ${gate}`);
  await inFlight(server, 1);
  for (const agent of agents) await jump(agent);
  await exec(client, 'web-2', `echo go > ${gate}`);
  expect(await held).toMatchObject({ status: 'succeeded', result: { stdout: 'go\n' } });
  await answering(client, 'web-1', 'web-2');
  for (const agent of agents) expect(agent.log()).not.toContain('disconnected');
  expect(commandRows(server.dataDir).filter(({ status }) => status !== 'succeeded')).toEqual([]);
});
