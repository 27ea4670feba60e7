import { readFileSync } from 'node:fs';
import { join } from 'node:path';
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
import { eventually } from '../support/hub.ts';
import { Started } from '../support/processes.ts';
import { connect, startAgent, startServer } from '../support/tomo.ts';

let started = new Started();

afterEach(async () => {
  await started[Symbol.asyncDispose]();
  started = new Started();
});

it('a hub killed mid-command: the command runs once, its row ends with its answer', async () => {
  const server = await startServer(started);
  const client = await connect(started, 'v2-auto', server.http);
  for (const name of ['web-1', 'web-2']) await startAgent(started, server, client, name);
  const ran = join(started.directory(), 'ran');
  const gate = join(started.directory(), 'gate');
  const held = `mkfifo ${gate}; echo begun >> ${ran}; cat ${gate}; echo ended >> ${ran}`;
  const broken = exec(client, 'web-1', held).catch((error: unknown) => error);
  await eventually(() => expect(readFileSync(ran, 'utf8')).toBe('begun\n'));

  await server.program.stop('SIGKILL');
  expect(await broken).toBeInstanceOf(Error);
  expect(commandRows(server.dataDir, 'system.exec')).toMatchObject([{ status: 'running' }]);

  const again = await startServer(started, { dataDir: server.dataDir, port: server.port });
  const later = await connect(started, 'v2-auto', again.http);
  await answering(later, 'web-1', 'web-2');
  expect(commandRows(server.dataDir, 'system.exec')).toMatchObject([{ status: 'detached' }]);
  await exec(later, 'web-2', `echo go > ${gate}`);

  const rows = await settledRows(server.dataDir, 'system.exec');
  expect(rows.map(({ status }) => status)).toEqual(['succeeded', 'succeeded']);
  expect(readFileSync(ran, 'utf8')).toBe('begun\nended\n');
  expectNoSurprise(again);
});

it('a hub that stands still mid-command goes on where it was, with the same agents', async () => {
  const server = await startServer(started);
  const client = await connect(started, 'v2-auto', server.http);
  const agents = [];
  for (const name of ['web-1', 'web-2']) {
    agents.push(await startAgent(started, server, client, name));
  }
  const gate = join(started.directory(), 'gate');
  const held = exec(client, 'web-1', `mkfifo ${gate}; cat ${gate}`);
  await inFlight(server, 1);

  process.kill(server.program.pid, 'SIGSTOP');
  const meanwhile = send(client, 'web-2');
  // The agents' own limit: longer than any silence that the hub allows them.
  await Promise.all(agents.map((agent) => agent.line('nothing heard of the hub')));
  process.kill(server.program.pid, 'SIGCONT');

  expect(await held).toMatchObject({ status: 'detached', error: { name: 'CONNECTION_LOST' } });
  // It was asked for while nothing could be known of the agent's socket.
  expect(['succeeded', 'detached', 'failed']).toContain((await meanwhile).status);
  await answering(client, 'web-1', 'web-2');
  await exec(client, 'web-2', `echo go > ${gate}`);
  const rows = await settledRows(server.dataDir, 'system.exec');
  expect(rows.map(({ status }) => status)).toEqual(['succeeded', 'succeeded']);
  expectNoSurprise(server);
});

it('a hub that stands still for a moment loses no agent and no command', async () => {
  const server = await startServer(started);
  const client = await connect(started, 'v2-auto', server.http);
  const agent = await startAgent(started, server, client, 'web-1');
  const gate = join(started.directory(), 'gate');
  const held = exec(client, 'web-1', `mkfifo ${gate}; cat ${gate}`);
  await inFlight(server, 1);
  process.kill(server.program.pid, 'SIGSTOP');
  const asked = exec(client, 'web-1', `echo go > ${gate}`);
  process.kill(server.program.pid, 'SIGCONT');
  expect(await asked).toMatchObject({ status: 'succeeded' });
  expect(await held).toMatchObject({ status: 'succeeded', result: { stdout: 'go\n' } });
  expect(agent.log()).not.toContain('disconnected');
  expectNoSurprise(server);
});
