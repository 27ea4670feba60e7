import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { methodNames } from '../protocol/commands/catalogue.ts';
import { makeAgentImage } from './support/agent-image.ts';
import { importBaseImage, requireBaseImage } from './support/base-image.ts';
import { requireDocker } from './support/docker-engine.ts';
import { EVERY_METHOD, METHODS_APART } from './support/every-method.ts';
import type { TestClient, ToolCallResult } from './support/mcp-client.ts';
import { freePort, Started } from './support/processes.ts';
import { requireServer, type StandInServer, standInServer } from './support/stand-in-server.ts';
import { connect, startServer } from './support/tomo.ts';
import { WORKLOAD_IMAGE } from './support/workload-image.ts';

const host = requireDocker();
const possible = host !== undefined && requireBaseImage() === true && requireServer() === true;

const installSchema = z.looseObject({ agent_id: z.string(), deploy_command: z.string() });

describe.skipIf(!possible)('an agent in its container on a server', () => {
  const started = new Started();
  let server: StandInServer;
  let client: TestClient;

  beforeAll(async () => {
    await makeAgentImage(host ?? '');
    server = await standInServer('web-1');
    started.defer(() => server.stop());
    await server.loadImage('ghcr.io/tomo/agent:latest');
    const port = await freePort();
    const tomo = await startServer(started, {
      port,
      args: ['--host', server.hubAddress, '--insecure-http'],
      address: server.hubAddress,
    });
    client = await connect(started, 'v2-auto', tomo.http);
  });
  afterAll(() => started[Symbol.asyncDispose]());

  const call = (name: string, args: object = {}): Promise<ToolCallResult> =>
    client.callTool(name, { server_id: 'web-1', ...args });
  const command = async (method: string, params: object = {}): Promise<unknown> => {
    const { structuredContent } = await call('send_agent_command', { method, params });
    expect(structuredContent).toMatchObject({ status: 'succeeded' });
    return structuredContent?.['result'];
  };
  const connected = () =>
    vi.waitFor(
      async () =>
        expect((await call('get_agent_status')).structuredContent).toMatchObject({
          status: 'connected',
        }),
      60_000,
    );
  const leftovers = async () => [
    (await server.run('docker ps -aq')).stdout.trim(),
    (await server.run('docker volume ls -q')).stdout.trim(),
  ];

  it('is installed by the deploy command exactly as it was returned, and works on the server', async () => {
    const installed = await call('install_agent');
    const { deploy_command } = installSchema.parse(installed.structuredContent);
    expect((await server.run(deploy_command)).exitCode).toBe(0);
    await connected();
    expect(await command('system.info')).toMatchObject({ exec_scope: 'host' });
    const exec = await command('system.exec', {
      command: 'hostname; readlink /proc/1/exe; test -e /app/agent.mjs && echo container',
    });
    expect(exec).toMatchObject({ scope: 'host', stdout: expect.stringMatching(/^web-1\n/) });
    expect(exec).not.toMatchObject({ stdout: expect.stringContaining('container') });
  });

  it('carries out every method of the catalogue from inside the container', async () => {
    const tried = [...EVERY_METHOD.map(([method]) => method), ...METHODS_APART];
    expect(tried.toSorted()).toEqual([...methodNames()].toSorted());
    await server.loadImage(WORKLOAD_IMAGE);
    for (const [method, params] of EVERY_METHOD) {
      const { structuredContent } = await call('send_agent_command', { method, params });
      expect({ method, structuredContent }).toMatchObject({
        method,
        structuredContent: { status: 'succeeded' },
      });
    }
    const pull = { method: 'docker.images.pull', params: { image: '127.0.0.1:1/none' } };
    expect((await call('send_agent_command', pull)).structuredContent).toMatchObject({
      error: { name: 'IMAGE_NOT_FOUND' },
    });
  });

  it('leaves no process behind on the server after a time-out or a cancel', async () => {
    const sleepers = async () => (await server.run('pgrep -fc "sleep 6[12]345"')).stdout.trim();
    const script = 'trap "" TERM INT HUP; sleep 61345 & (trap "" TERM; sleep 62345) & wait';
    const late = await call('send_agent_command', {
      method: 'system.exec',
      params: { command: script, timeout: 1 },
    });
    expect(late.structuredContent).toMatchObject({ status: 'timed_out' });
    await vi.waitFor(async () => expect(await sleepers()).toBe('0'), 10_000);

    const cancel = new AbortController();
    const call2 = client.callTool(
      'send_agent_command',
      { server_id: 'web-1', method: 'system.exec', params: { command: script, timeout: 300 } },
      cancel.signal,
    );
    call2.catch(() => undefined);
    await vi.waitFor(async () => expect(Number(await sleepers())).toBeGreaterThan(0), 10_000);
    cancel.abort();
    await vi.waitFor(async () => expect(await sleepers()).toBe('0'), 10_000);
  });

  it('refuses to harm itself', async () => {
    for (const method of ['stop', 'remove', 'pause', 'rename', 'kill']) {
      const params = { container: 'tomo-agent', ...(method === 'rename' ? { name: 'x' } : {}) };
      const { structuredContent } = await call('send_agent_command', {
        method: `docker.containers.${method}`,
        params,
      });
      expect(structuredContent).toMatchObject({ error: { name: 'SELF_PROTECTED' } });
    }
    const volume = await call('send_agent_command', {
      method: 'docker.volumes.remove',
      params: { name: 'tomo-agent-data', force: true },
    });
    expect(volume.structuredContent).toMatchObject({ error: { name: 'SELF_PROTECTED' } });
  });

  it('authenticates with its token after a restart of the container, of itself, of the engine', async () => {
    const status = async () => (await call('get_agent_status')).structuredContent;
    const agentId = (await status())?.['agent_id'];
    for (const restart of [
      () => server.run('docker restart -t 5 tomo-agent'),
      () => command('agent.restart'),
      async () => {
        await server.killEngine();
        await server.startEngine();
      },
    ]) {
      const before = (await status())?.['connected_at'];
      await restart();
      await vi.waitFor(async () => {
        const now = await status();
        expect(now).toMatchObject({ status: 'connected', agent_id: agentId });
        expect(now?.['connected_at']).not.toBe(before);
      }, 60_000);
    }
  });

  it('a revoked one stops its container and does not come back', async () => {
    await call('revoke_agent');
    await vi.waitFor(async () => {
      const { stdout } = await server.run(
        "docker inspect -f '{{.State.Status}} {{.State.Restarting}}' tomo-agent",
      );
      expect(stdout.trim()).toBe('exited false');
    }, 30_000);
    await server.run('docker rm -fv tomo-agent; docker volume rm tomo-agent-data');
    expect(await leftovers()).toEqual(['', '']);
  });

  it('is deployed through the engine’s API with its steps told, and uninstalled without a trace', async () => {
    const steps: string[] = [];
    const deploy = { kind: 'docker', host: server.dockerHost };
    const { structuredContent } = await client.callTool(
      'install_agent',
      { server_id: 'web-1', deploy },
      undefined,
      ({ message = '' }) => steps.push(message),
    );
    expect(structuredContent).toMatchObject({ status: 'connected' });
    expect(steps).toContain('waiting for the agent to connect');
    const removed = await call('uninstall_agent');
    expect(removed.structuredContent).toMatchObject({ success: true, left_behind: [] });
    await vi.waitFor(async () => expect(await leftovers()).toEqual(['', '']), 30_000);
  });

  it('is replaced while a ping is answered every time', async () => {
    const deploy = { kind: 'docker', host: server.dockerHost };
    const first = await call('install_agent', { deploy });
    expect(first.structuredContent).toMatchObject({ status: 'connected' });
    let over = false;
    const pings: unknown[] = [];
    const pinging = (async () => {
      while (!over) {
        const ping = await call('send_agent_command', { method: 'agent.ping' });
        pings.push(ping.structuredContent?.['status']);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    })();
    const long = call('send_agent_command', {
      method: 'system.exec',
      params: { command: 'sleep 6; echo finished' },
    });
    const second = await call('install_agent', { deploy, replace: true });
    over = true;
    await pinging;
    // What ran on the old agent was let finish, and its answer came.
    expect((await long).structuredContent).toMatchObject({
      status: 'succeeded',
      result: { stdout: 'finished\n', exit_code: 0 },
    });
    expect(second.structuredContent).toMatchObject({
      status: 'connected',
      agent_id: first.structuredContent?.['agent_id'],
      removed: ['tomo-agent', 'tomo-agent-data'],
    });
    expect(new Set(pings)).toEqual(new Set(['succeeded']));
    expect(pings.length).toBeGreaterThan(5);
    const names = (await server.run("docker ps -a --format '{{.Names}}'")).stdout.trim();
    expect(names).toMatch(/^tomo-agent-[0-9a-f]{6}$/);
    expect((await call('uninstall_agent')).structuredContent).toMatchObject({ left_behind: [] });
    await vi.waitFor(async () => expect(await leftovers()).toEqual(['', '']), 30_000);
  });

  it('is replaced while it is away, and goes on if its replacement fails', async () => {
    const deploy = { kind: 'docker', host: server.dockerHost };
    expect((await call('install_agent', { deploy })).structuredContent).toMatchObject({
      status: 'connected',
    });
    await server.run('docker stop -t 1 tomo-agent');
    await server.run('docker tag ghcr.io/tomo/agent:latest good');
    await server.run(
      `mkdir -p /run/bad && printf 'FROM good\nENTRYPOINT ["sleep","60"]\n' > /run/bad/Dockerfile && DOCKER_BUILDKIT=0 docker build -q -t ghcr.io/tomo/agent:latest /run/bad`,
    );
    const failing = call('install_agent', { deploy, replace: true, wait_seconds: 6 });
    await vi.waitFor(async () => {
      const { stdout } = await server.run("docker ps --format '{{.Names}}'");
      expect(stdout).toContain('tomo-agent-');
    }, 20_000);
    // The old one comes back meanwhile: that must not pass for the new one.
    await server.run('docker start tomo-agent');
    expect((await failing).structuredContent).toMatchObject({
      error: { name: 'AGENT_DID_NOT_REGISTER' },
    });
    expect((await server.run("docker ps -a --format '{{.Names}}'")).stdout.trim()).toBe(
      'tomo-agent',
    );
    await connected();
    await server.run('docker tag good ghcr.io/tomo/agent:latest; docker rmi good');
    await server.run('docker stop -t 1 tomo-agent');
    const replaced = await call('install_agent', { deploy, replace: true });
    expect(replaced.structuredContent).toMatchObject({
      status: 'connected',
      removed: ['tomo-agent', 'tomo-agent-data'],
    });
    expect((await call('uninstall_agent')).structuredContent).toMatchObject({ left_behind: [] });
    await vi.waitFor(async () => expect(await leftovers()).toEqual(['', '']), 30_000);
  });

  it('is built on the target when its image is nowhere to be had', async () => {
    await server.run('docker rmi -f ghcr.io/tomo/agent:latest');
    await importBaseImage(server.dockerHost);
    const steps: string[] = [];
    const deploy = { kind: 'docker', host: server.dockerHost };
    const { structuredContent } = await client.callTool(
      'install_agent',
      { server_id: 'web-1', deploy },
      undefined,
      ({ message = '' }) => steps.push(message),
    );
    expect(structuredContent).toMatchObject({ status: 'connected' });
    expect(steps.some((step) => step.startsWith('build: Step'))).toBe(true);
    await call('uninstall_agent');
    await vi.waitFor(async () => expect(await leftovers()).toEqual(['', '']), 30_000);
  });
});
