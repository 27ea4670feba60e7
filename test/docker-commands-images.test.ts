import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listeningContext } from './support/command-context.ts';
import { isTestEngine, requireDocker, requirePart } from './support/docker-engine.ts';
import { DockerFixture } from './support/docker-fixture.ts';
import { startRegistry } from './support/docker-registry.ts';
import { WORKLOAD_IMAGE } from './support/workload-image.ts';

const host = requireDocker();
const registry = host === undefined ? undefined : await startRegistry();
if (host !== undefined) requirePart('registry', registry, 'no docker-registry installed');

describe.skipIf(host === undefined)('docker.images.* on a real engine', () => {
  const docker = new DockerFixture(host ?? '');
  const { call } = docker;

  // Keeps the workload image in use, so that pruning leaves it.
  beforeAll(() => docker.run('holder'));
  afterAll(async () => {
    await docker.cleanUp();
    await registry?.stop();
  });

  /** A new image with a layer of its own. */
  async function commit(tag: string): Promise<string> {
    const name = await docker.run('commit', {
      command: ['sh', '-c', `echo ${randomUUID()} > /tmp/mark`],
      restart_policy: { Name: 'no' },
    });
    await docker.cli('wait', name);
    const id = await docker.cli('commit', name, tag);
    await call('docker.containers.remove', { container: name, force: true });
    return id;
  }

  it('lists images as the docker command does', async () => {
    const listed = await call('docker.images.list', {});
    const entry = listed.find(({ tags }) => tags.includes(WORKLOAD_IMAGE));
    const id = await docker.cli('image', 'inspect', '-f', '{{.Id}}', WORKLOAD_IMAGE);
    const size = await docker.cli('image', 'inspect', '-f', '{{.Size}}', WORKLOAD_IMAGE);
    const created = await docker.cli('image', 'inspect', '-f', '{{.Created}}', WORKLOAD_IMAGE);
    expect(entry).toMatchObject({ id: id.slice(0, 19), size: Number(size) });
    expect(entry?.created?.slice(0, 19)).toBe(created.slice(0, 19));
  });

  it('inspects an image, and says when there is none', async () => {
    expect(await call('docker.images.inspect', { image: WORKLOAD_IMAGE })).toMatchObject({
      RepoTags: expect.arrayContaining([WORKLOAD_IMAGE]),
    });
    await expect(call('docker.images.inspect', { image: 'tomo-no/such' })).rejects.toMatchObject({
      name: 'IMAGE_NOT_FOUND',
      message: expect.stringContaining('docker.images.list'),
    });
  });

  it('removes an image, one in use only with force', async () => {
    const image = `${docker.name('removed')}:1`;
    const id = await commit(image);
    const result = await call('docker.images.remove', { image });
    expect(result).toMatchObject({
      status: 'removed',
      deleted: [{ Untagged: image }, { Deleted: id }, {}],
    });

    const again = await commit(image);
    const user = await docker.run('user', { image });
    await call('docker.containers.stop', { container: user, timeout: 0 });
    await expect(call('docker.images.remove', { image })).rejects.toMatchObject({
      name: 'CONFLICT',
    });
    await call('docker.images.remove', { image, force: true });
    await expect(call('docker.images.remove', { image })).rejects.toMatchObject({
      name: 'IMAGE_NOT_FOUND',
    });
    await call('docker.containers.remove', { container: user });
    await docker.cli('rmi', again).catch(() => 'gone with its name');
  });

  it('refuses a tag beside an image that names another', async () => {
    await expect(call('docker.images.pull', { image: 'app:1', tag: '2' })).rejects.toMatchObject({
      name: 'INVALID_PARAMS',
    });
  });

  it('says that a registry cannot be reached', async () => {
    await expect(call('docker.images.pull', { image: '127.0.0.1:1/app' })).rejects.toMatchObject({
      name: 'IMAGE_NOT_FOUND',
    });
  });

  describe.skipIf(registry === undefined)('with a registry', () => {
    const repository = `${registry?.address}/tomo/app`;
    let digest = '';

    beforeAll(async () => {
      await commit(`${repository}:latest`);
      await docker.cli('tag', `${repository}:latest`, `${repository}:1`);
      await docker.cli('push', `${repository}:latest`);
      await docker.cli('push', `${repository}:1`);
      const name = await docker.cli('inspect', '-f', '{{index .RepoDigests 0}}', `${repository}:1`);
      digest = name.slice(name.indexOf('@') + 1);
    });

    const forget = async () => {
      const ids = await docker.cli('images', '-q', '--no-trunc', repository);
      if (ids !== '') await docker.cli('rmi', '-f', ...new Set(ids.split('\n')));
    };

    it.each([
      ['the tag latest by default', {}, ':latest'],
      ['the tag of the parameter', { tag: '1' }, ':1'],
    ] as const)('pulls %s', async (_what, params, suffix) => {
      await forget();
      const result = await call('docker.images.pull', { image: repository, ...params });
      expect(result).toMatchObject({ status: 'pulled', image: repository + suffix });
      expect(result['detail']).toContain('Downloaded newer image');
      expect(await docker.cli('images', '--format', '{{.Repository}}:{{.Tag}}', repository)).toBe(
        repository + suffix,
      );
    });

    it('says how far it is, up to all of it', async () => {
      await forget();
      const { context, steps } = listeningContext();
      const image = `${repository}:1`;
      await docker.direct('docker.images.pull', { image }, context.signal, context.output);
      const fractions = steps.map(({ fraction = 0 }) => fraction);
      expect(fractions).toEqual(fractions.toSorted((one, other) => one - other));
      expect(fractions.at(-1)).toBe(1);
      expect(steps.at(-1)?.message).toContain('Downloaded newer image');
    });

    it('pulls the tag or digest within the name', async () => {
      await forget();
      const one = await call('docker.images.pull', { image: `${repository}:1` });
      expect(one.image).toBe(`${repository}:1`);
      const again = await call('docker.images.pull', { image: `${repository}:1`, tag: '1' });
      expect(again['detail']).toContain('up to date');
      await forget();
      const exact = await call('docker.images.pull', { image: `${repository}@${digest}` });
      expect(exact.image).toBe(`${repository}@${digest}`);
    });

    it('says that the registry does not have a tag', async () => {
      await expect(
        call('docker.images.pull', { image: repository, tag: 'no-such' }),
      ).rejects.toMatchObject({ name: 'IMAGE_NOT_FOUND' });
    });

    it('runs a container of an image that has to be pulled first', async () => {
      await forget();
      const name = await docker.run('pulled', { image: `${repository}:1`, command: 'sleep 99' });
      expect(await docker.cli('inspect', '-f', '{{.State.Status}}', name)).toBe('running');
      await call('docker.containers.remove', { container: name, force: true });
      await forget();
    });
  });

  describe.skipIf(!isTestEngine(host ?? ''))('pruning', () => {
    it('removes untagged images only, unless told all', async () => {
      const image = `${docker.name('pruned')}:1`;
      const older = await commit(image);
      const newer = await commit(image);
      const first = await call('docker.images.prune', {});
      expect(first.deleted).toContainEqual({ Deleted: older });
      expect(first.deleted).not.toContainEqual({ Deleted: newer });
      expect(first.space_reclaimed).toBeGreaterThan(0);
      const second = await call('docker.images.prune', { all: true });
      expect(second.deleted).toContainEqual({ Deleted: newer });
      expect((await call('docker.images.list', {})).flatMap(({ tags }) => tags)).toContain(
        WORKLOAD_IMAGE,
      );
    });

    it('answers an empty list when there is nothing to remove', async () => {
      expect(await call('docker.images.prune', {})).toEqual({ deleted: [], space_reclaimed: 0 });
    });
  });
});
