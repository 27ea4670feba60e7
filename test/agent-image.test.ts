import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { VERSION } from '../protocol/version.ts';
import { BUNDLE_MAX_BYTES } from '../scripts/agent-bundle.ts';
import { imageLayers } from '../scripts/agent-image.ts';
import { makeAgentImage } from './support/agent-image.ts';
import { requireBaseImage } from './support/base-image.ts';
import { requireDocker } from './support/docker-engine.ts';
import { DockerFixture } from './support/docker-fixture.ts';
import type { TestClient } from './support/mcp-client.ts';
import { Started } from './support/processes.ts';
import { programOutput } from './support/run-program.ts';
import { connect, startServer, type TomoServer } from './support/tomo.ts';

const host = requireDocker();
const base = requireBaseImage();

const POLL_MS = 100;
const installSchema = z.object({ agent_id: z.string(), registration_code: z.string() });
const imageSchema = z.tuple([
  z.object({
    Architecture: z.string(),
    Config: z.looseObject({
      Entrypoint: z.array(z.string()),
      Volumes: z.null().optional(),
      User: z.string().optional(),
      StopSignal: z.string(),
      Labels: z.record(z.string(), z.string()),
    }),
  }),
]);

describe.skipIf(host === undefined || base === undefined)('the agent’s image', () => {
  const docker = new DockerFixture(host ?? '');
  const image = `${docker.name('agent')}:test`;
  let started = new Started();

  beforeAll(async () => {
    await makeAgentImage(host ?? '', image);
  });
  afterEach(async () => {
    await started[Symbol.asyncDispose]();
    started = new Started();
  });
  afterAll(async () => {
    await docker.cleanUp();
    await docker.cli('rmi', '-f', image);
  });

  async function hub(): Promise<{ server: TomoServer; client: TestClient }> {
    const server = await startServer(started);
    return { server, client: await connect(started, 'v2-auto', server.http) };
  }

  async function install(client: TestClient, serverId: string) {
    const { structuredContent } = await client.callTool('install_agent', { server_id: serverId });
    return installSchema.parse(structuredContent);
  }

  /** Starts an agent on the host's network; its health is looked at every second. */
  async function run(suffix: string, port: number, code: string): Promise<string> {
    const name = docker.name(suffix);
    const health = ['--health-interval', '1s', '--health-start-period', '1ms'];
    const url = `SERVER_URL=ws://127.0.0.1:${port}/ws/agent`;
    const given = ['-e', url, '-e', `REGISTER_CODE=${code}`, '-v', `${name}:/data`];
    await docker.cli('run', '-d', '--name', name, '--network', 'host', ...health, ...given, image);
    return name;
  }

  const inspect = (name: string, field: string) => docker.cli('inspect', '-f', field, name);

  async function becomes(name: string, field: string, value: string): Promise<void> {
    while ((await inspect(name, field)) !== value) await delay(POLL_MS);
  }

  async function hasLogged(name: string, text: string, times = 1): Promise<string[]> {
    for (;;) {
      const { stderr } = await programOutput('docker', ['-H', host ?? '', 'logs', name]);
      const lines = stderr.split('\n').filter((line) => line.includes(text));
      if (lines.length >= times) return lines;
      await delay(POLL_MS);
    }
  }

  it('has the bundle as its largest layer over the base', async () => {
    const layers = await imageLayers(image, host);
    const own = layers.slice(
      0,
      layers.findIndex(({ createdBy }) => createdBy.includes('tmux')),
    );
    const sizes = own.map(({ bytes }) => bytes);
    expect(Math.max(...sizes)).toBeGreaterThan(0);
    expect(sizes.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(BUNDLE_MAX_BYTES);
  });

  it('says what it is, and makes no anonymous volume', async () => {
    const [{ Config }] = imageSchema.parse(JSON.parse(await docker.cli('inspect', image)));
    expect(Config).toMatchObject({
      Entrypoint: ['node', '/app/agent.mjs'],
      StopSignal: 'SIGTERM',
      Healthcheck: { Test: ['CMD', 'test', '-e', '/tmp/tomo-agent.connected'], Retries: 2 },
      Labels: {
        'org.opencontainers.image.title': 'Tomo agent',
        'org.opencontainers.image.version': VERSION,
        'org.opencontainers.image.source': expect.stringMatching(/^https:/),
        'org.opencontainers.image.licenses': 'MIT',
      },
    });
    expect(Config.Volumes ?? null).toBeNull();
    expect(Config.User ?? '').toBe('');
  });

  it('has tmux, ssh and nsenter', async () => {
    const look = 'for program in tmux ssh nsenter; do command -v $program || exit 1; done';
    await docker.cli('run', '--rm', '--entrypoint', 'sh', image, '-c', look);
  });

  it('ends with status 2 and names the variable when it is not told its hub', async () => {
    const command = ['-H', host ?? '', 'run', '--rm', image];
    const { exitCode, stderr } = await programOutput('docker', command);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/^tomo agent: SERVER_URL: .*\n$/);
  });

  it('is healthy exactly while it is authenticated', async () => {
    const { server, client } = await hub();
    const { registration_code } = await install(client, 'web-1');
    const name = await run('health', server.port, registration_code);
    await becomes(name, '{{.State.Health.Status}}', 'healthy');
    await server.program.stop('SIGKILL');
    await becomes(name, '{{.State.Health.Status}}', 'unhealthy');
  });

  it('is not healthy before it has authenticated', async () => {
    const name = await run('refused', 1, 'AAAA-BBBB-CCCC-DDDD');
    await becomes(name, '{{.State.Health.Status}}', 'unhealthy');
  });

  it('ends with status 0 on SIGTERM as process 1, before it would be killed', async () => {
    const { server, client } = await hub();
    const { registration_code } = await install(client, 'web-1');
    const name = await run('signal', server.port, registration_code);
    await hasLogged(name, '"connected"');
    await docker.cli('stop', '-t', '2', name);
    expect(await inspect(name, '{{.State.ExitCode}}')).toBe('0');
  });

  it('keeps its token in its volume through a restart', async () => {
    const { server, client } = await hub();
    const { agent_id, registration_code } = await install(client, 'web-1');
    const name = await run('restart', server.port, registration_code);
    const [first] = await hasLogged(name, '"connected"');
    await reportFigures(name, first ?? '');
    await docker.cli('restart', '-t', '2', name);
    await hasLogged(name, '"connected"', 2);
    const { structuredContent } = await client.callTool('get_agent_status', { server_id: 'web-1' });
    expect(structuredContent).toMatchObject({ agent_id, status: 'connected' });
  });

  /** For the budgets: nothing of it is asserted, because the machine has other things to do. */
  async function reportFigures(name: string, connectedLine: string): Promise<void> {
    const { time } = z.object({ time: z.number() }).parse(JSON.parse(connectedLine));
    const startedAt = Date.parse(await inspect(name, '{{.State.StartedAt}}'));
    const pid = await inspect(name, '{{.State.Pid}}');
    await becomes(name, '{{.State.Health.Status}}', 'healthy');
    const resident = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    const stats = await docker.cli('stats', '--no-stream', '--format', '{{.MemUsage}}', name);
    const [layer] = await imageLayers(image, host);
    process.stdout.write(
      `agent image: layer of ${layer?.bytes} bytes; container start to registered ${time - startedAt} ms; ` +
        `idle VmRSS ${Math.round(Number(resident) / 1024)} MiB; docker stats ${stats}\n`,
    );
  }
});
