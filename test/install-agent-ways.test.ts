import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { makeAgentImage } from './support/agent-image.ts';
import { requireBaseImage } from './support/base-image.ts';
import { requireDocker } from './support/docker-engine.ts';
import { EVERY_METHOD } from './support/every-method.ts';
import type { TestClient, ToolCallResult } from './support/mcp-client.ts';
import { Started } from './support/processes.ts';
import { requireServer, type StandInServer, standInServer } from './support/stand-in-server.ts';
import { connect, startServer } from './support/tomo.ts';
import { WORKLOAD_IMAGE } from './support/workload-image.ts';

const host = requireDocker();
const possible = host !== undefined && requireBaseImage() === true && requireServer() === true;
const installSchema = z.looseObject({ deploy_command: z.string() });

/** The whole life of an agent, however it was put on its server. */
describe.skipIf(!possible).each(['by hand', 'docker', 'ssh'] as const)('installed %s', (way) => {
  const started = new Started();
  let server: StandInServer;
  let client: TestClient;

  beforeAll(async () => {
    await makeAgentImage(host ?? '');
    server = await standInServer('web-3');
    started.defer(() => server.stop());
    await server.loadImage('ghcr.io/tomo/agent:latest');
    await server.loadImage(WORKLOAD_IMAGE);
    const bin = started.directory();
    writeFileSync(join(bin, 'ssh'), `#!/bin/sh\nexec /usr/bin/ssh -F ${server.sshConfig} "$@"\n`);
    chmodSync(join(bin, 'ssh'), 0o755);
    const tomo = await startServer(started, {
      args: ['--host', server.hubAddress, '--insecure-http'],
      address: server.hubAddress,
      env: { PATH: `${bin}:${process.env['PATH'] ?? ''}` },
    });
    client = await connect(started, 'v2-auto', tomo.http);
  });
  afterAll(() => started[Symbol.asyncDispose]());

  const call = (name: string, args: object = {}): Promise<ToolCallResult> =>
    client.callTool(name, { server_id: 'web-3', ...args });
  const status = async () => (await call('get_agent_status')).structuredContent;
  const leftovers = async () =>
    (await server.run('docker ps -aq; docker volume ls -q')).stdout.trim();

  async function install(): Promise<void> {
    const deploys = {
      'by hand': undefined,
      docker: { kind: 'docker', host: server.dockerHost },
      ssh: { kind: 'ssh', host: 'root@web-3' },
    };
    const deploy = deploys[way];
    const { structuredContent } = await call('install_agent', deploy && { deploy });
    if (deploy === undefined) {
      const { deploy_command } = installSchema.parse(structuredContent);
      expect((await server.run(deploy_command)).exitCode).toBe(0);
    } else expect(structuredContent).toMatchObject({ status: 'connected' });
    await vi.waitFor(
      async () => expect(await status()).toMatchObject({ status: 'connected' }),
      60_000,
    );
  }

  it('connects and runs commands on the server, not in its container', async () => {
    await install();
    const { structuredContent } = await call('send_agent_command', {
      method: 'system.exec',
      params: {
        command: 'hostname; test -e /app/agent.mjs || echo outside; ps -e | grep -c dockerd',
      },
    });
    expect(structuredContent).toMatchObject({
      result: { scope: 'host', stdout: 'web-3\noutside\n1\n' },
    });
  });

  it('carries out every method', async () => {
    for (const [method, params] of EVERY_METHOD) {
      const { structuredContent } = await call('send_agent_command', { method, params });
      expect({ method, structuredContent }).toMatchObject({
        method,
        structuredContent: { status: 'succeeded' },
      });
    }
  });

  it('comes back with its token when its container or the engine starts again', async () => {
    const engine = async () => {
      await server.killEngine();
      await server.startEngine();
    };
    for (const restart of [() => server.run('docker restart -t 5 tomo-agent'), engine]) {
      const before = await status();
      await restart();
      await vi.waitFor(async () => {
        const now = await status();
        expect(now).toMatchObject({ status: 'connected', agent_id: before?.['agent_id'] });
        expect(now?.['connected_at']).not.toBe(before?.['connected_at']);
      }, 60_000);
    }
  });

  it('stops its container when it is revoked, and is not started again', async () => {
    await call('revoke_agent');
    const state = "docker inspect -f '{{.State.Status}} {{.State.Restarting}}' tomo-agent";
    await vi.waitFor(
      async () => expect((await server.run(state)).stdout.trim()).toBe('exited false'),
      30_000,
    );
    await server.run('docker rm -f tomo-agent && docker volume rm tomo-agent-data');
  });

  it('is installed again and uninstalled: no container, no volume, no helper', async () => {
    await install();
    expect((await call('uninstall_agent')).structuredContent).toMatchObject({
      success: true,
      left_behind: [],
    });
    await vi.waitFor(async () => expect(await leftovers()).toBe(''), 30_000);
  });
});
