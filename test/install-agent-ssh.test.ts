import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { makeAgentImage } from './support/agent-image.ts';
import { requireBaseImage } from './support/base-image.ts';
import { requireDocker } from './support/docker-engine.ts';
import type { TestClient } from './support/mcp-client.ts';
import { freePort, Started, TOMO } from './support/processes.ts';
import { requireServer, type StandInServer, standInServer } from './support/stand-in-server.ts';
import { connect, startServer, type TomoServer } from './support/tomo.ts';

const host = requireDocker();
const possible = host !== undefined && requireBaseImage() === true && requireServer() === true;

describe.skipIf(!possible)('install_agent that deploys by itself', () => {
  const started = new Started();
  let server: StandInServer;
  let bare: StandInServer;
  let tomo: TomoServer;
  let client: TestClient;
  /** A folder in front of the PATH whose `ssh` the test chooses. */
  let bin = '';

  beforeAll(async () => {
    await makeAgentImage(host ?? '');
    server = await standInServer('web-2');
    started.defer(() => server.stop());
    bare = await standInServer('bare-2', { docker: false });
    started.defer(() => bare.stop());
    await server.loadImage('ghcr.io/tomo/agent:latest');
    bin = started.directory();
    useSsh(`-F ${server.sshConfig}`);
    const port = await freePort();
    tomo = await startServer(started, {
      port,
      args: ['--host', server.hubAddress, '--insecure-http'],
      address: server.hubAddress,
      env: { PATH: `${bin}:${process.env['PATH'] ?? ''}` },
    });
    client = await connect(started, 'v2-auto', tomo.http);
  });
  afterAll(() => started[Symbol.asyncDispose]());

  function useSsh(flags: string): void {
    const file = join(bin, 'ssh');
    writeFileSync(file, `#!/bin/sh\nexec /usr/bin/ssh ${flags} "$@"\n`);
    chmodSync(file, 0o755);
  }

  const install = (args: object, signal?: AbortSignal, onProgress?: (message: string) => void) =>
    client.callTool('install_agent', { server_id: 'web-2', ...args }, signal, ({ message = '' }) =>
      onProgress?.(message),
    );
  const inventory = async () => [
    (await server.run('docker ps -aq')).stdout.trim(),
    (await server.run('docker volume ls -q')).stdout.trim(),
  ];
  const ssh = { kind: 'ssh', host: 'root@web-2' };

  it('over SSH: connected, and uninstalled without a trace', async () => {
    const startedAt = performance.now();
    const { structuredContent } = await install({ deploy: ssh });
    process.stdout.write(
      `install_agent over SSH, image there: ${Math.round(performance.now() - startedAt)} ms\n`,
    );
    expect(structuredContent).toMatchObject({ status: 'connected' });
    const exec = await client.callTool('send_agent_command', {
      server_id: 'web-2',
      method: 'system.exec',
      params: { command: 'hostname' },
    });
    expect(exec.structuredContent).toMatchObject({ result: { stdout: 'web-2\n', scope: 'host' } });
    await client.callTool('uninstall_agent', { server_id: 'web-2' });
    await vi.waitFor(async () => expect(await inventory()).toEqual(['', '']), 30_000);
  });

  it('through the engine’s API over SSH', async () => {
    const deploy = { kind: 'docker', host: 'ssh://root@web-2' };
    expect((await install({ deploy })).structuredContent).toMatchObject({ status: 'connected' });
    await client.callTool('uninstall_agent', { server_id: 'web-2' });
    await vi.waitFor(async () => expect(await inventory()).toEqual(['', '']), 30_000);
  });

  async function failure(args: object, signal?: AbortSignal): Promise<unknown> {
    const before = await inventory();
    const { structuredContent, isError } = await install(args, signal);
    expect(isError).toBe(true);
    expect(await inventory()).toEqual(before);
    return structuredContent?.['error'];
  }

  it('no engine there: says where it looked', async () => {
    const deploy = { kind: 'docker', host: 'unix:///no/such/docker.sock' };
    expect(await failure({ deploy })).toMatchObject({
      name: 'TARGET_UNREACHABLE',
      message: expect.stringContaining('/no/such/docker.sock'),
    });
  });

  it('an engine’s socket that this user may not use: says so', async () => {
    const other = await startServer(started, { uid: 65_534 });
    const elsewhere = await connect(started, 'v2-auto', other.http);
    const before = await inventory();
    const { structuredContent } = await elsewhere.callTool('install_agent', {
      server_id: 'web-2',
      deploy: { kind: 'docker', host: server.dockerHost },
    });
    expect(structuredContent).toMatchObject({ error: { name: 'DOCKER_NOT_PERMITTED' } });
    expect(await inventory()).toEqual(before);
  });

  it('no Docker on the host: the command that installs it', async () => {
    useSsh(`-F ${bare.sshConfig}`);
    expect(await failure({ deploy: { kind: 'ssh', host: 'root@bare-2' } })).toMatchObject({
      name: 'DOCKER_MISSING',
      message: expect.stringMatching(/apt-get install.*install_docker/),
    });
    useSsh(`-F ${server.sshConfig}`);
  });

  it('nothing listens there', async () => {
    const deploy = { kind: 'ssh', host: `root@${server.address}:2222` };
    expect(await failure({ deploy })).toMatchObject({ name: 'TARGET_UNREACHABLE' });
  });

  it('an unknown host key: its fingerprint, and how to accept it', async () => {
    useSsh(`-F ${server.sshConfig} -o UserKnownHostsFile=/dev/null`);
    const error = await failure({ deploy: { kind: 'ssh', host: `root@${server.address}` } });
    expect(error).toMatchObject({
      name: 'HOST_KEY_UNVERIFIED',
      message: expect.stringMatching(/SHA256:.*ssh-keyscan/s),
    });
    useSsh(`-F ${server.sshConfig}`);
  });

  it('another host key than the known one: says so', async () => {
    const known = join(bin, 'known');
    const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHJ9UXTYpGBlK0X2B7rzKJWQ3e2tBZnxPQ2uEQFMZ5mY';
    writeFileSync(known, `web-2,${server.address} ${key}\n`);
    useSsh(
      `-F ${server.sshConfig} -o UserKnownHostsFile=${known} -o HostKeyAlgorithms=ssh-ed25519`,
    );
    const error = await failure({ deploy: { kind: 'ssh', host: `root@${server.address}` } });
    expect(error).toMatchObject({ name: 'HOST_KEY_UNVERIFIED' });
    useSsh(`-F ${server.sshConfig}`);
  });

  it('no key: how to give one', async () => {
    useSsh(`-F ${server.sshConfig} -o PubkeyAuthentication=no`);
    expect(await failure({ deploy: ssh })).toMatchObject({
      name: 'LOGIN_REFUSED',
      message: expect.stringContaining('ssh-copy-id'),
    });
    useSsh(`-F ${server.sshConfig}`);
  });

  it('the hub cannot be reached from there: the cause and the end of the log', async () => {
    const other = await startServer(started, {
      args: ['--public-url', 'http://192.0.2.1:8000'],
    });
    const elsewhere = await connect(started, 'v2-auto', other.http);
    const before = await inventory();
    const { structuredContent } = await elsewhere.callTool('install_agent', {
      server_id: 'web-2',
      deploy: { kind: 'docker', host: server.dockerHost },
      wait_seconds: 4,
    });
    expect(structuredContent).toMatchObject({
      error: { name: 'AGENT_DID_NOT_REGISTER', message: expect.stringContaining('--public-url') },
    });
    expect(await inventory()).toEqual(before);
  });

  it('the hub’s certificate is not trusted', async () => {
    const dir = started.directory();
    const { stderr } = await server.run(
      `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ${dir}/key.pem -out ${dir}/cert.pem -days 2 -subj /CN=tomo 2>&1 || true`,
    );
    expect(stderr).toBe('');
    const port = await freePort();
    const other = await startServer(started, {
      port,
      args: [
        '--host',
        server.hubAddress,
        '--public-url',
        `https://${server.hubAddress}:${port}`,
        '--tls-cert',
        `${dir}/cert.pem`,
        '--tls-key',
        `${dir}/key.pem`,
      ],
      address: server.hubAddress,
    });
    const elsewhere = await connect(started, 'v2-auto', other.stdio);
    const before = await inventory();
    const { structuredContent } = await elsewhere.callTool('install_agent', {
      server_id: 'web-2',
      deploy: { kind: 'docker', host: server.dockerHost },
      wait_seconds: 4,
    });
    expect(structuredContent).toMatchObject({
      error: { name: 'AGENT_DID_NOT_REGISTER', message: expect.stringContaining('certificate') },
    });
    expect(await inventory()).toEqual(before);
  });

  it('cancelled half-way: what was made is removed again', async () => {
    const before = await inventory();
    const cancel = new AbortController();
    const installing = install(
      { deploy: { kind: 'docker', host: server.dockerHost } },
      cancel.signal,
      (message) => {
        if (message.startsWith('creating')) cancel.abort();
      },
    );
    await expect(installing).rejects.toThrow();
    await vi.waitFor(async () => expect(await inventory()).toEqual(before), 30_000);
  });

  it('Tomo ends half-way: what was made is removed again', async () => {
    const before = await inventory();
    const dataDir = started.directory();
    const port = String(await freePort());
    const flags = ['--data-dir', dataDir, '--port', port, '--public-url', 'http://192.0.2.1:1'];
    const leaving = await connect(started, 'v2-legacy', {
      command: process.execPath,
      args: [TOMO, ...flags],
      env: {},
    });
    const waiting = Promise.withResolvers<void>();
    const deploy = { kind: 'docker', host: server.dockerHost };
    leaving
      .callTool('install_agent', { server_id: 'x', deploy }, undefined, ({ message = '' }) => {
        if (message.startsWith('waiting')) waiting.resolve();
      })
      .catch(() => undefined);
    await waiting.promise;
    expect(await inventory()).not.toEqual(before);
    await leaving.close();
    await vi.waitFor(async () => expect(await inventory()).toEqual(before), 30_000);
  });

  it('the name is taken: says by what and how to go on', async () => {
    await server.run('docker volume create tomo-agent-data');
    expect(await failure({ deploy: { kind: 'docker', host: server.dockerHost } })).toMatchObject({
      name: 'TARGET_OCCUPIED',
      message: expect.stringContaining('replace: true'),
    });
    await server.run('docker volume rm tomo-agent-data');
  });

  it('the container ends at once: its last words', async () => {
    const bad = 'FROM ghcr.io/tomo/agent:latest\\nENTRYPOINT ["node","-e","console.log(1/0n)"]\\n';
    await server.run('docker tag ghcr.io/tomo/agent:latest good');
    await server.run(
      `mkdir -p /run/bad && printf '${bad}' > /run/bad/Dockerfile && DOCKER_BUILDKIT=0 docker build -q -t ghcr.io/tomo/agent:latest /run/bad`,
    );
    const error = await failure({ deploy: { kind: 'docker', host: server.dockerHost } });
    expect(error).toMatchObject({
      name: 'AGENT_DID_NOT_REGISTER',
      message: expect.stringContaining('ended right after its start'),
    });
    await server.run('docker tag good ghcr.io/tomo/agent:latest && docker rmi good');
  });

  it('the candidate of a replacement fails: the old agent goes on', async () => {
    const deploy = { kind: 'docker', host: server.dockerHost };
    expect((await install({ deploy })).structuredContent).toMatchObject({ status: 'connected' });
    await server.run('docker tag ghcr.io/tomo/agent:latest good');
    const bad = 'FROM good\\nENTRYPOINT ["false"]\\n';
    await server.run(
      `printf '${bad}' > /run/bad/Dockerfile && DOCKER_BUILDKIT=0 docker build -q -t ghcr.io/tomo/agent:latest /run/bad`,
    );
    expect(await failure({ deploy, replace: true })).toMatchObject({
      name: 'AGENT_DID_NOT_REGISTER',
    });
    const ping = await client.callTool('send_agent_command', {
      server_id: 'web-2',
      method: 'agent.ping',
    });
    expect(ping.structuredContent).toMatchObject({ status: 'succeeded' });
    await server.run('docker tag good ghcr.io/tomo/agent:latest && docker rmi good');
    await client.callTool('uninstall_agent', { server_id: 'web-2' });
    await vi.waitFor(async () => expect(await inventory()).toEqual(['', '']), 30_000);
  });

  it('the image can be had nowhere and not be built: why', async () => {
    await server.run('docker rmi -f ghcr.io/tomo/agent:latest');
    expect(await failure({ deploy: { kind: 'docker', host: server.dockerHost } })).toMatchObject({
      name: 'IMAGE_BUILD_FAILED',
    });
  });
});
