import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { answering, commandRows, send, settledRows } from './support/commands.ts';
import { requireDocker, requirePart } from './support/docker-engine.ts';
import { DockerFixture } from './support/docker-fixture.ts';
import { startRegistry } from './support/docker-registry.ts';
import { FaultProxy } from './support/fault-proxy.ts';
import { eventually } from './support/hub.ts';
import { installAgent } from './support/installed-agent.ts';
import type { TestClient, ToolCallResult } from './support/mcp-client.ts';
import { Started } from './support/processes.ts';
import { connect, startAgent, startServer } from './support/tomo.ts';
import { WORKLOAD_IMAGE } from './support/workload-image.ts';

const host = requireDocker();
const registry = host === undefined ? undefined : await startRegistry();
if (host !== undefined) requirePart('registry', registry, 'no docker-registry installed');

const METHOD = 'docker.images.pull';
/** One more than an engine fetches at one time. */
const LAYERS_COUNT = 4;
const LAYER_MEBIBYTES = 2;
/** So that a pull takes some seconds. */
const BYTES_PER_SECOND = 1024 * 1024;
/** And one at the beginning. */
const NOTIFICATIONS_PER_SECOND = 2;
const env = { DOCKER_HOST: host ?? '' };

describe.skipIf(registry === undefined)('docker.images.pull through hub and MCP', () => {
  const docker = new DockerFixture(host ?? '');
  const name = 'tomo/layers:1';
  let started: Started;
  let proxy: FaultProxy;
  let image = '';

  beforeAll(async () => {
    const tag = `${registry?.address}/${name}`;
    let from = WORKLOAD_IMAGE;
    for (let layer = 1; layer <= LAYERS_COUNT; layer += 1) {
      const container = docker.name(`layer-${layer}`);
      const write = `dd if=/dev/urandom of=/layer-${layer} bs=1M count=${LAYER_MEBIBYTES}`;
      await docker.cli('run', '--name', container, '--network', 'none', from, 'sh', '-c', write);
      await docker.cli('commit', container, tag);
      await docker.cli('rm', container);
      from = tag;
    }
    await docker.cli('push', tag);
    await docker.cli('rmi', tag);
  });
  beforeEach(async () => {
    started = new Started();
    const port = Number(registry?.address.split(':')[1]);
    proxy = await FaultProxy.start(port, { bytesPerSecond: BYTES_PER_SECOND });
    started.defer(() => proxy[Symbol.asyncDispose]());
    image = `${new URL(proxy.url).host}/${name}`;
  });
  afterEach(async () => {
    await started[Symbol.asyncDispose]();
    await docker.cli('rmi', image).catch(() => 'never came');
  });
  afterAll(async () => {
    await docker.cleanUp();
    await registry?.stop();
  });

  const pull = (
    client: TestClient,
    server_id: string,
    onMessage: (message: string) => void = () => undefined,
  ): Promise<ToolCallResult> => {
    const args = { server_id, method: METHOD, params: { image }, wait_seconds: 100 };
    return client.callTool('send_agent_command', args, undefined, ({ message = '' }) =>
      onMessage(message),
    );
  };
  const pulled = () => ({ status: 'succeeded', result: { status: 'pulled', image } });

  /** Begins a pull; resolves when some of it is there, and the rest does not come. */
  async function stuckPull(client: TestClient, serverId: string) {
    const { promise: isUnderWay, resolve } = Promise.withResolvers<undefined>();
    const answer = pull(client, serverId, (message) => {
      const percent = percentOf(message);
      if (percent > 0 && percent < 100) resolve(undefined);
    });
    await Promise.race([isUnderWay, answer]);
    proxy.freeze();
    return { answer };
  }

  /** An engine goes on waiting for a connection that does not end, whoever it was for. */
  function letThrough(): void {
    proxy.cut();
    proxy.heal();
  }

  /** What get_command tells of the first pull. */
  async function told(client: TestClient, dataDir: string) {
    const [first] = commandRows(dataDir, METHOD);
    const command = await client.callTool('get_command', { command_id: first?.id });
    return command.structuredContent;
  }

  it.each(['http', 'stdio'] as const)(
    'tells a client over %s the percentage, at most twice a second',
    async (transport) => {
      const server = await startServer(started);
      const client = await connect(started, 'v2-auto', server[transport]);
      await startAgent(started, server, client, 'web-1', env);
      const percents: number[] = [];
      const from = performance.now();
      const answer = await pull(client, 'web-1', (message) => percents.push(percentOf(message)));
      const seconds = (performance.now() - from) / 1_000;
      expect(answer.structuredContent).toMatchObject(pulled());
      expect(answer.content[0]?.text).toContain('Downloaded newer image');
      expect(percents.length).toBeLessThanOrEqual(1 + seconds * NOTIFICATIONS_PER_SECOND);
      const known = percents.filter((percent) => !Number.isNaN(percent));
      expect(new Set(known).size).toBeGreaterThanOrEqual(3);
      expect(known).toEqual(known.toSorted((one, other) => one - other));
      expect(known.at(-1)).toBeLessThanOrEqual(100);
    },
  );

  it('says that the agent’s process ended, and can be done again', async () => {
    const server = await startServer(started);
    const client = await connect(started, 'v2-auto', server.http);
    const installed = await installAgent(started, server, client, 'web-1');
    const agent = await installed.start(env);
    const { answer } = await stuckPull(client, 'web-1');
    await agent.stop('SIGKILL');
    expect((await answer).structuredContent).toMatchObject({
      status: 'detached',
      error: { name: 'CONNECTION_LOST' },
    });
    expect(await told(client, server.dataDir)).toMatchObject({ status: 'detached' });

    await installed.start(env);
    await eventually(async () =>
      expect(await told(client, server.dataDir)).toMatchObject({
        status: 'failed',
        error: {
          name: 'ANSWER_LOST',
          message: expect.stringMatching(/process ended.*may have taken effect.*check/),
        },
      }),
    );
    letThrough();
    expect((await pull(client, 'web-1')).structuredContent).toMatchObject(pulled());
    const rows = await settledRows(server.dataDir, METHOD);
    expect(rows.map(({ status }) => status)).toEqual(['failed', 'succeeded']);
  });

  it('says that agent.restart ended it, and can be done again', async () => {
    const server = await startServer(started, { args: ['--local-agent'], env });
    const client = await connect(started, 'v2-auto', server.http);
    await answering(client, 'local');
    const { answer } = await stuckPull(client, 'local');
    expect(await send(client, 'local', 'agent.restart')).toMatchObject({ status: 'succeeded' });
    const ended = {
      status: 'failed',
      error: {
        name: 'CONNECTION_LOST',
        message: expect.stringMatching(/process ended.*agent\.restart.*before you repeat it/),
      },
    };
    expect((await answer).structuredContent).toMatchObject(ended);
    expect(await told(client, server.dataDir)).toMatchObject(ended);
    await answering(client, 'local');
    letThrough();
    expect((await pull(client, 'local')).structuredContent).toMatchObject(pulled());
    const rows = await settledRows(server.dataDir, METHOD);
    expect(rows.map(({ status }) => status)).toEqual(['failed', 'succeeded']);
  });
});

/** NaN where the message has none. */
function percentOf(message: string): number {
  return Number(/\((\d+) %\)$/.exec(message)?.[1]);
}
