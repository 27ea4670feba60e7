import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { ERROR_CODES } from '../../protocol/errors.ts';
import {
  answering,
  commandRows,
  exec,
  expectNoSurprise,
  inFlight,
  send,
  settledRows,
} from '../support/commands.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { eventually } from '../support/hub.ts';
import { installAgent } from '../support/installed-agent.ts';
import { Started } from '../support/processes.ts';
import { report } from '../support/test-size.ts';
import { connect, startAgent, startServer } from '../support/tomo.ts';

const TOLD_WITHIN_MS = 1_000;

let started = new Started();

afterEach(async () => {
  await started[Symbol.asyncDispose]();
  started = new Started();
});

it('an agent killed mid-command: its caller is told at once, its next process ends the row', async () => {
  const server = await startServer(started);
  const client = await connect(started, 'v2-auto', server.http);
  await startAgent(started, server, client, 'web-2');
  const installed = await installAgent(started, server, client, 'web-1');
  const agent = await installed.start();
  const held = exec(client, 'web-1', 'sleep 60');
  await inFlight(server, 1);

  const killedAt = performance.now();
  await agent.stop('SIGKILL');
  expect(await held).toMatchObject({ status: 'detached', error: { name: 'CONNECTION_LOST' } });
  const toldMs = performance.now() - killedAt;
  report(`caller told ${Math.round(toldMs)} ms after its agent was killed`);
  expect(toldMs).toBeLessThan(TOLD_WITHIN_MS);
  expect(commandRows(server.dataDir, 'system.exec')).toMatchObject([{ status: 'detached' }]);
  expect(await send(client, 'web-1')).toMatchObject({ error: { name: 'AGENT_NOT_CONNECTED' } });
  expect(await send(client, 'web-2')).toMatchObject({ status: 'succeeded' });

  await installed.start();
  await answering(client, 'web-1');
  expect(await settledRows(server.dataDir, 'system.exec')).toMatchObject([
    { status: 'failed', error_code: ERROR_CODES.ANSWER_LOST },
  ]);
  expectNoSurprise(server);
});

it('a socket that is reset mid-command: told at once, and the answer comes all the same', async () => {
  const server = await startServer(started);
  const client = await connect(started, 'v2-auto', server.http);
  await startAgent(started, server, client, 'web-2');
  await using proxy = await FaultProxy.start(server.port);
  await startAgent(started, proxy, client, 'web-1');
  const [ran, gate] = ['ran', 'gate'].map((name) => join(started.directory(), name));
  const held = exec(client, 'web-1', `mkfifo ${gate}; cat ${gate} >> ${ran}`);
  await inFlight(server, 1);

  const cutAt = performance.now();
  proxy.cut();
  expect(await held).toMatchObject({ status: 'detached', error: { name: 'CONNECTION_LOST' } });
  const toldMs = performance.now() - cutAt;
  report(`caller told ${Math.round(toldMs)} ms after its agent's socket was reset`);
  expect(toldMs).toBeLessThan(TOLD_WITHIN_MS);
  await answering(client, 'web-1', 'web-2');
  await exec(client, 'web-2', `echo once > ${gate}`);

  const rows = await settledRows(server.dataDir, 'system.exec');
  expect(rows.map(({ status }) => status)).toEqual(['succeeded', 'succeeded']);
  expect(readFileSync(String(ran), 'utf8')).toBe('once\n');
  expectNoSurprise(server);
});

it('an agent that stands still is given up by the hub, and found again when it goes on', async () => {
  const server = await startServer(started);
  const client = await connect(started, 'v2-auto', server.http);
  await startAgent(started, server, client, 'web-2');
  const agent = await startAgent(started, server, client, 'web-1');
  const ran = join(started.directory(), 'ran');

  process.kill(agent.pid, 'SIGSTOP');
  const held = exec(client, 'web-1', `echo once >> ${ran}`);
  await inFlight(server, 1);
  expect(await send(client, 'web-2')).toMatchObject({ status: 'succeeded' });
  expect(await held).toMatchObject({ status: 'detached', error: { name: 'CONNECTION_LOST' } });
  process.kill(agent.pid, 'SIGCONT');

  await answering(client, 'web-1');
  const [row] = await settledRows(server.dataDir, 'system.exec');
  // Whether the command was still read from the dead socket is the agent's to say.
  const runs = await eventually(() => timesRun(ran));
  expect([row?.status, runs]).toEqual(runs === 1 ? ['succeeded', 1] : ['lost', 0]);
  expectNoSurprise(server);
});

function timesRun(file: string): number {
  try {
    return readFileSync(file, 'utf8').split('\n').length - 1;
  } catch {
    return 0;
  }
}
