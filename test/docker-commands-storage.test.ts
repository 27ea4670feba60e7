import { afterAll, describe, expect, it } from 'vitest';
import { isTestEngine, requireDocker } from './support/docker-engine.ts';
import { DockerFixture } from './support/docker-fixture.ts';
import { WORKLOAD_IMAGE } from './support/workload-image.ts';

const host = requireDocker();

describe.skipIf(host === undefined)('docker.volumes.* on a real engine', () => {
  const docker = new DockerFixture(host ?? '');
  const { call } = docker;
  afterAll(() => docker.cleanUp());

  const exists = async (name: string) =>
    (await docker.cli('volume', 'ls', '-q')).split('\n').includes(name);

  it('creates a volume, again without complaint, and lists it as the docker command does', async () => {
    const name = docker.name('made');
    for (let time = 0; time < 2; time += 1) {
      expect(await call('docker.volumes.create', { name })).toMatchObject({
        status: 'created',
        name,
      });
    }
    const mountpoint = await docker.cli('volume', 'inspect', '-f', '{{.Mountpoint}}', name);
    expect(await call('docker.volumes.list', {})).toContainEqual(
      expect.objectContaining({ name, driver: 'local', mountpoint }),
    );
  });

  it('removes a volume, but none that a container uses', async () => {
    const name = docker.name('used');
    const user = await docker.run('user', { volumes: { [name]: { bind: '/data' } } });
    await expect(call('docker.volumes.remove', { name })).rejects.toMatchObject({
      name: 'CONFLICT',
      message: expect.stringContaining('in use'),
    });
    await call('docker.containers.remove', { container: user, force: true });
    expect(await call('docker.volumes.remove', { name })).toEqual({ status: 'removed' });
    expect(await exists(name)).toBe(false);
    await expect(call('docker.volumes.remove', { name })).rejects.toMatchObject({
      name: 'NOT_FOUND',
    });
    expect(await call('docker.volumes.remove', { name, force: true })).toEqual({
      status: 'removed',
    });
  });

  describe.skipIf(!isTestEngine(host ?? ''))('pruning', () => {
    /** A volume without a name, with 4096 bytes in it, of a container that is gone. */
    async function anonymous(): Promise<string> {
      const box = docker.name('box');
      const script = 'head -c 4096 /dev/zero > /data/x';
      await docker.cli('run', '--name', box, '-v', '/data', WORKLOAD_IMAGE, 'sh', '-c', script);
      const volume = await docker.cli('inspect', '-f', '{{(index .Mounts 0).Name}}', box);
      await docker.cli('rm', box);
      return volume;
    }

    it('removes unused anonymous volumes only, unless told all', async () => {
      const named = docker.name('named');
      await call('docker.volumes.create', { name: named });
      const unused = await anonymous();
      const box = docker.name('keeper');
      await docker.cli('run', '-d', '--name', box, '-v', '/data', WORKLOAD_IMAGE);
      const kept = await docker.cli('inspect', '-f', '{{(index .Mounts 0).Name}}', box);

      const first = await call('docker.volumes.prune', {});
      expect(first.deleted).toContain(unused);
      expect(first.space_reclaimed).toBeGreaterThanOrEqual(4096);
      expect(await exists(unused)).toBe(false);
      expect(await exists(named)).toBe(true);

      const second = await call('docker.volumes.prune', { all: true });
      expect(second.deleted).toContain(named);
      expect(await exists(named)).toBe(false);
      expect(await exists(kept)).toBe(true);
    });
  });
});

describe.skipIf(host === undefined)('docker.networks.* on a real engine', () => {
  const docker = new DockerFixture(host ?? '');
  const { call } = docker;
  afterAll(() => docker.cleanUp());

  it('creates a network and lists it as the docker command does', async () => {
    const name = docker.name('made');
    const created = await call('docker.networks.create', { name });
    const format = '{{.Id}} {{.Driver}} {{.Scope}} {{(index .IPAM.Config 0).Subnet}}';
    const shown = await docker.cli('network', 'inspect', '-f', format, name);
    const [id = '', driver, scope, subnet] = shown.split(' ');
    expect(created).toEqual({ status: 'created', name, id: id.slice(0, 12) });
    expect(await call('docker.networks.list', {})).toContainEqual({
      id: id.slice(0, 12),
      name,
      driver,
      scope,
      internal: false,
      subnets: [subnet],
    });
  });

  it('refuses a name that is taken', async () => {
    const name = docker.name('taken');
    await call('docker.networks.create', { name });
    await expect(call('docker.networks.create', { name })).rejects.toMatchObject({
      name: 'CONFLICT',
    });
    expect(await docker.cli('network', 'ls', '-q', '--filter', `name=${name}`)).toMatch(/^\w+$/);
  });

  it('connects under an alias and disconnects', async () => {
    const network = docker.name('joined');
    await call('docker.networks.create', { name: network });
    const server = await docker.run('server');
    const client = await docker.run('client', { network });
    const connect = { network, container: server, aliases: ['db'] };
    expect(await call('docker.networks.connect', connect)).toEqual({ status: 'connected' });
    expect(await docker.cli('exec', client, 'ping', '-c', '1', 'db')).toContain(
      '1 packets received',
    );
    await expect(call('docker.networks.connect', connect)).rejects.toMatchObject({
      name: 'CONFLICT',
    });

    const leave = { network, container: server };
    expect(await call('docker.networks.disconnect', leave)).toEqual({ status: 'disconnected' });
    const members = '{{range .Containers}}{{.Name}} {{end}}';
    expect((await docker.cli('network', 'inspect', '-f', members, network)).trim()).toBe(client);
    await expect(call('docker.networks.disconnect', leave)).rejects.toMatchObject({
      name: expect.stringMatching(/^(NOT_FOUND|CONFLICT|DOCKER_REFUSED)$/),
    });
  });

  it('removes a network, but none in use and none of the engine’s own', async () => {
    const name = docker.name('removed');
    await call('docker.networks.create', { name });
    const user = await docker.run('net-user', { network: name });
    await expect(call('docker.networks.remove', { name })).rejects.toMatchObject({
      name: 'CONFLICT',
    });
    await expect(call('docker.networks.remove', { name: 'bridge' })).rejects.toMatchObject({
      name: 'CONFLICT',
    });
    await call('docker.networks.disconnect', { network: name, container: user, force: true });
    expect(await call('docker.networks.remove', { name })).toEqual({ status: 'removed' });
    await expect(call('docker.networks.remove', { name })).rejects.toMatchObject({
      name: 'NOT_FOUND',
      message: expect.stringContaining('docker.networks.list'),
    });
  });

  it.each([
    ['docker.networks.connect', 'tomo-no-such', 'tomo-no-such'],
    ['docker.networks.connect', 'bridge', 'tomo-no-such'],
    ['docker.networks.disconnect', 'tomo-no-such', 'tomo-no-such'],
  ] as const)('%s says what there is not', async (method, network, container) => {
    await expect(call(method, { network, container })).rejects.toMatchObject({
      name: 'NOT_FOUND',
      message: expect.stringContaining('tomo-no-such'),
    });
  });

  it.skipIf(!isTestEngine(host ?? ''))('prunes networks that nothing uses', async () => {
    const unused = docker.name('unused');
    const used = docker.name('used');
    await call('docker.networks.create', { name: unused });
    await call('docker.networks.create', { name: used });
    await docker.run('prune-user', { network: used });
    const { deleted } = await call('docker.networks.prune', {});
    expect(deleted).toContain(unused);
    expect(deleted).not.toContain(used);
    expect(await call('docker.networks.prune', {})).toEqual({ deleted: [] });
  });
});
