import { afterAll, describe, expect, it } from 'vitest';
import { requireDocker } from './support/docker-engine.ts';
import { DockerFixture } from './support/docker-fixture.ts';
import { WORKLOAD_IMAGE } from './support/workload-image.ts';

const host = requireDocker();

describe.skipIf(host === undefined)('docker.containers.run on a real engine', () => {
  const docker = new DockerFixture(host ?? '');
  const { call, direct } = docker;
  afterAll(() => docker.cleanUp());

  const look = (name: string, format: string) => docker.cli('inspect', '-f', format, name);

  it('answers the id and name, and restarts unless stopped', async () => {
    const name = docker.name('plain');
    const result = await call('docker.containers.run', { image: WORKLOAD_IMAGE, name });
    const id = (await look(name, '{{.Id}}')).slice(0, 12);
    expect(result).toEqual({ id, name, warnings: [] });
    expect(await look(name, '{{.HostConfig.RestartPolicy.Name}}')).toBe('unless-stopped');
    expect(await look(name, '{{.State.Status}}')).toBe('running');
  });

  it('hides the environment in inspect, unless it is asked for', async () => {
    const name = await docker.run('env', { env: { SECRET: 'hunter2' } });
    const hidden = await call('docker.containers.inspect', { container: name });
    expect(hidden).toHaveProperty('Config.Env', expect.arrayContaining(['SECRET=***']));
    expect(JSON.stringify(hidden)).not.toContain('hunter2');
    const shown = await call('docker.containers.inspect', { container: name, reveal_env: true });
    expect(shown).toHaveProperty('Config.Env', expect.arrayContaining(['SECRET=hunter2']));
    const image = await call('docker.images.inspect', { image: WORKLOAD_IMAGE });
    expect(image).toHaveProperty('Config');
  });

  it('carries every parameter into the container', async () => {
    const network = docker.name('net');
    const volume = docker.name('vol');
    await docker.cli('network', 'create', network);
    const name = await docker.run('full', {
      ports: { '80': '127.0.0.1:0', '53/udp': [0] },
      env: { GREETING: 'a b=c' },
      volumes: { [volume]: { bind: '/data' }, '/etc': { bind: '/host-etc', mode: 'ro' } },
      network,
      restart_policy: { Name: 'on-failure', MaximumRetryCount: 3 },
      entrypoint: '/bin/sh -c',
      command: ['echo "$GREETING $(pwd) $(id -u)"; touch /data/x; sleep 99'],
      labels: { a: 'b' },
      user: '1000:1000',
      workdir: '/tmp',
      memory: '64m',
      cpus: 0.5,
      cap_drop: ['NET_RAW'],
      cap_add: ['SYS_TIME'],
      devices: ['/dev/null:/dev/zilch:r'],
      extra_hosts: ['hub:10.9.8.7'],
      healthcheck: { test: 'true', interval_seconds: 1, retries: 2 },
    });
    const { HostConfig, Config } = await call('docker.containers.inspect', { container: name });
    expect(HostConfig).toMatchObject({
      Binds: [`${volume}:/data:rw`, '/etc:/host-etc:ro'],
      NetworkMode: network,
      RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 3 },
      Memory: 64 * 1024 * 1024,
      NanoCpus: 5e8,
      ExtraHosts: ['hub:10.9.8.7'],
      Devices: [{ PathOnHost: '/dev/null', PathInContainer: '/dev/zilch', CgroupPermissions: 'r' }],
    });
    expect(Config).toMatchObject({
      Labels: { a: 'b' },
      User: '1000:1000',
      Healthcheck: { Test: ['CMD-SHELL', 'true'], Interval: 1e9, Retries: 2 },
    });
    await expect.poll(() => docker.cli('logs', name)).toBe('a b=c /tmp 1000');
    expect(await docker.cli('port', name, '80/tcp')).toMatch(/^127\.0\.0\.1:[1-9]\d*$/);
    expect(await docker.cli('exec', name, 'cat', '/etc/hosts')).toContain('10.9.8.7\thub');
    await expect
      .poll(
        async () =>
          (await call('docker.containers.list', {})).find((entry) => entry.name === name)?.[
            'health'
          ],
        { timeout: 15_000 },
      )
      .toBe('healthy');
  });

  it('removes a container by itself when asked to, without a restart policy', async () => {
    const name = await docker.run('fleeting', { auto_remove: true, command: 'sleep 99' });
    expect(await look(name, '{{.HostConfig.RestartPolicy.Name}}')).toBe('no');
    await call('docker.containers.kill', { container: name });
    await expect.poll(() => docker.cli('ps', '-aq', '--filter', `name=${name}`)).toBe('');
  });

  it('refuses a name that is taken', async () => {
    const name = await docker.run('taken');
    await expect(
      call('docker.containers.run', { image: WORKLOAD_IMAGE, name }),
    ).rejects.toMatchObject({ name: 'CONFLICT' });
    expect(await look(name, '{{.State.Status}}')).toBe('running');
  });

  it('says that an image can be had neither here nor from its registry', async () => {
    const image = '127.0.0.1:1/no/such';
    await expect(
      call('docker.containers.run', { image, name: docker.name('no-image') }),
    ).rejects.toMatchObject({ name: 'IMAGE_NOT_FOUND' });
  });

  it.each([
    ['a network that is not there', { network: 'tomo-no-such-net' }, 'NOT_FOUND'],
    ['a program that is not there', { command: ['no-such-program'] }, 'DOCKER_REFUSED'],
  ] as const)('removes the container again after %s', async (what, params, error) => {
    const name = docker.name(what.replaceAll(' ', '-'));
    await expect(
      call('docker.containers.run', { image: WORKLOAD_IMAGE, name, ...params } as never),
    ).rejects.toMatchObject({ name: error });
    expect(await docker.cli('ps', '-aq', '--filter', `name=${name}`)).toBe('');
  });

  it('removes the container again when its port is taken', async () => {
    const first = await docker.run('port-one', { ports: { '80': '127.0.0.1:0' } });
    const published = await docker.cli('port', first, '80/tcp');
    const name = docker.name('port-two');
    await expect(
      call('docker.containers.run', { image: WORKLOAD_IMAGE, name, ports: { '80': published } }),
    ).rejects.toMatchObject({
      name: 'DOCKER_REFUSED',
      message: expect.stringContaining('was removed again'),
    });
    expect(await docker.cli('ps', '-aq', '--filter', `name=${name}`)).toBe('');
  });

  it('refuses what the engine refuses, in its words', async () => {
    const restart_policy = { Name: 'always' } as const;
    await expect(
      docker.run('contradiction', { auto_remove: true, restart_policy }),
    ).rejects.toMatchObject({ name: 'DOCKER_REFUSED' });
  });

  it('makes nothing when cancelled beforehand', async () => {
    const name = docker.name('cancelled');
    await expect(
      direct('docker.containers.run', { image: WORKLOAD_IMAGE, name }, AbortSignal.abort()),
    ).rejects.toMatchObject({ name: 'COMMAND_CANCELLED' });
    expect(await docker.cli('ps', '-aq', '--filter', `name=${name}`)).toBe('');
  });
});
