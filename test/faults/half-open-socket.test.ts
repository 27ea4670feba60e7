import { afterEach, expect, it } from 'vitest';
import { answering, exec, expectNoSurprise, inFlight, settledRows } from '../support/commands.ts';
import { requirePart } from '../support/docker-engine.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { isInstalled, isRoot } from '../support/installed.ts';
import { installAgent } from '../support/installed-agent.ts';
import type { TestClient } from '../support/mcp-client.ts';
import { type Program, Started } from '../support/processes.ts';
import { runProgram } from '../support/run-program.ts';
import { ServerNetwork } from '../support/server-network.ts';
import { report } from '../support/test-size.ts';
import { connect, startAgent, startServer, type TomoServer } from '../support/tomo.ts';
import { wrappedAgent } from '../support/wrapped-agent.ts';

const HUB_NOTICES_WITHIN_MS = 10_000;
const AGENT_NOTICES_WITHIN_MS = 15_000;
const NETWORK_NAME = 'half-open';

let started = new Started();

afterEach(async () => {
  await started[Symbol.asyncDispose]();
  started = new Started();
});

it('a proxy that forwards nothing any more and closes nothing is noticed by both ends', async () => {
  const server = await startServer(started);
  const client = await connect(started, 'v2-auto', server.http);
  await startAgent(started, server, client, 'web-2');
  const proxy = await FaultProxy.start(server.port);
  started.defer(() => proxy[Symbol.asyncDispose]());
  const agent = await startAgent(started, proxy, client, 'web-1');

  await noticed(server, client, agent, () => {
    proxy.freeze();
    return Promise.resolve();
  });
  proxy.heal();
  await answering(client, 'web-1', 'web-2');
  await settledRows(server.dataDir);
  expectNoSurprise(server);
});

const canUnplug = requirePart(
  'network',
  isRoot() && isInstalled('ip', 'nsenter') ? true : undefined,
  'a network namespace needs root and iproute2',
);

it.runIf(canUnplug)('so is a cable that is pulled', async () => {
  const network = new ServerNetwork(NETWORK_NAME);
  await network.remove();
  await network.create();
  started.defer(() => network.remove());
  const address = network.hubAddress;
  const args = ['--host', address, '--insecure-http'];
  const server = await startServer(started, { address, args });
  const client = await connect(started, 'v2-auto', server.http);
  const beside = await installAgent(started, server, client, 'web-2');
  await beside.start();
  const installed = await installAgent(started, server, client, 'web-1');
  const inNamespace = ['nsenter', `--net=${network.namespaceFile}`];
  const agent = wrappedAgent(started, inNamespace, installed.environment);
  await agent.line('"connected"');

  await noticed(server, client, agent, () => link('down'));
  await link('up');
  await answering(client, 'web-1', 'web-2');
  await settledRows(server.dataDir);
  expectNoSurprise(server);
});

/** Breaks web-1's network with a command under way, and measures how long each end takes to see it. */
async function noticed(
  server: TomoServer,
  client: TestClient,
  agent: Program,
  unplug: () => Promise<void>,
): Promise<void> {
  const held = exec(client, 'web-1', 'sleep 20');
  await inFlight(server, 1);
  const brokenAt = performance.now();
  const since = (): number => performance.now() - brokenAt;
  await unplug();
  const hub = held.then((answer) => {
    expect(answer).toMatchObject({ status: 'detached', error: { name: 'CONNECTION_LOST' } });
    return since();
  });
  const far = agent.line('nothing heard of the hub').then(since);
  // The others do not wait for it.
  await answering(client, 'web-2');
  const [hubMs, agentMs] = await Promise.all([hub, far]);
  report(`half-open socket noticed by the hub after ${Math.round(hubMs)} ms`);
  report(`half-open socket noticed by the agent after ${Math.round(agentMs)} ms`);
  expect(hubMs).toBeLessThanOrEqual(HUB_NOTICES_WITHIN_MS);
  expect(agentMs).toBeLessThanOrEqual(AGENT_NOTICES_WITHIN_MS);
}

async function link(state: 'up' | 'down'): Promise<void> {
  await runProgram('ip', '-n', `tomo-${NETWORK_NAME}`, 'link', 'set', 'eth0', state);
}
