import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { collected } from './support/collected-logs.ts';
import { requireDocker } from './support/docker-engine.ts';
import { DockerFixture } from './support/docker-fixture.ts';
import { Started } from './support/processes.ts';
import { connect, startServer } from './support/tomo.ts';
import { WORKLOAD_IMAGE } from './support/workload-image.ts';

const host = requireDocker();
const LINES_COUNT = 3_000;
const ENOUGH_MS = 60_000;

const installSchema = z.object({ registration_code: z.string() });
const eventsSchema = z.object({
  events: z.array(
    z.object({ type: z.string(), detail: z.record(z.string(), z.unknown()).nullable() }),
  ),
});

describe.skipIf(host === undefined)('collected logs', () => {
  let docker: DockerFixture;
  let started = new Started();

  beforeAll(() => {
    docker = new DockerFixture(host ?? '');
    return () => docker.cleanUp();
  });

  afterEach(async () => {
    await started[Symbol.asyncDispose]();
    started = new Started();
  });

  it('have each line once, though agent and hub are killed meanwhile', async () => {
    const dataDir = started.directory();
    const first = await startServer(started, { dataDir });
    let client = await connect(started, 'v1', first.http);
    const label = docker.name('label');
    const settings = { log_collection: { label } };
    await client.callTool('configure_agents', { settings });
    const { structuredContent } = await client.callTool('install_agent', { server_id: 'web-1' });
    const { registration_code } = installSchema.parse(structuredContent);
    const env = {
      SERVER_URL: `${first.url.replace('http', 'ws')}/ws/agent`,
      REGISTER_CODE: registration_code,
      DATA_DIR: started.directory(),
      DOCKER_HOST: host ?? '',
    };
    const agent = started.agent(env);
    await agent.line('following the engine’s events');
    const name = docker.name('lines');
    // So many at once as no process of its own is needed for each.
    const script = `i=0; while [ $i -lt ${LINES_COUNT / 100} ]; do seq $((i*100+1)) $((i*100+100)); i=$((i+1)); sleep 0.3; done; exit 3`;
    const flags = ['-d', '--name', name, '--network', 'none', '--label', label];
    await docker.cli('run', ...flags, WORKLOAD_IMAGE, 'sh', '-c', script);
    await untilCollected(() => collected(client, name), 100);
    await agent.stop('SIGKILL');
    const second = started.agent(env);
    await second.line('"connected"');
    const before = (await collected(client, name)).length;
    await untilCollected(() => collected(client, name), before + 100);
    await first.program.stop('SIGKILL');
    const hub = await startServer(started, { dataDir, port: first.port });
    client = await connect(started, 'v1', hub.http);
    await untilCollected(() => collected(client, name), LINES_COUNT);
    const expected = Array.from({ length: LINES_COUNT }, (_, index) => String(index + 1));
    expect(await collected(client, name)).toEqual(expected);
    const events = await client.callTool('get_agent_events', { type: 'agent.container.die' });
    const deaths = eventsSchema
      .parse(events.structuredContent)
      .events.filter(({ detail }) => detail?.['container'] === name);
    expect(deaths.map(({ detail }) => detail?.['exit_code'])).toEqual([3]);
  }, 180_000);
});

async function untilCollected(lines: () => Promise<string[]>, count: number): Promise<void> {
  const deadline = performance.now() + ENOUGH_MS;
  for (;;) {
    const found = await lines();
    if (found.length >= count) return;
    if (performance.now() > deadline) {
      throw new Error(`${found.length} lines and not ${count} in time; the last: ${found.at(-1)}`);
    }
  }
}
