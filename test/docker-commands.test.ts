import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requireDocker } from './support/docker-engine.ts';
import { DockerFixture } from './support/docker-fixture.ts';
import { WORKLOAD_IMAGE } from './support/workload-image.ts';

const host = requireDocker();

describe.skipIf(host === undefined)('docker.containers.* on a real engine', () => {
  const docker = new DockerFixture(host ?? '');
  const { call } = docker;
  let web = '';

  beforeAll(async () => {
    web = await docker.run('web', { labels: { role: 'web' }, ports: { '80/tcp': '127.0.0.1:0' } });
  });
  afterAll(() => docker.cleanUp());

  const stateOf = (name: string) => docker.cli('inspect', '-f', '{{.State.Status}}', name);

  it('lists a running container as the docker command does', async () => {
    const listed = await call('docker.containers.list', {});
    const entry = listed.find(({ name }) => name === web);
    const [id, published] = (
      await docker.cli('ps', '--filter', `name=${web}`, '--format', '{{.ID}} {{.Ports}}')
    ).split(' ');
    expect(entry).toMatchObject({
      id,
      image: WORKLOAD_IMAGE,
      status: 'running',
      status_text: expect.stringMatching(/^Up /),
      health: null,
      labels: { role: 'web' },
      ports: [{ container: '80/tcp', host: published?.split('->')[0] }],
    });
    const created = await docker.cli('inspect', '-f', '{{.Created}}', web);
    expect(entry?.created?.slice(0, 19)).toBe(created.slice(0, 19));
  });

  it('lists stopped containers only when asked for all', async () => {
    const name = await docker.run('ended', { command: ['true'], restart_policy: { Name: 'no' } });
    await docker.cli('wait', name);
    const names = async (all: boolean) =>
      (await call('docker.containers.list', { all })).map((entry) => entry.name);
    expect(await names(false)).not.toContain(name);
    expect(await names(true)).toContain(name);
  });

  it('shows the id of an image that lost its name', async () => {
    const image = `${docker.name('renamed')}:1`;
    await docker.cli('commit', '-m', 'x', web, image);
    const name = await docker.run('untagged', { image });
    const id = await docker.cli('inspect', '-f', '{{.Image}}', name);
    await docker.cli('rmi', '-f', image);
    const listed = await call('docker.containers.list', {});
    expect(listed.find((entry) => entry.name === name)?.image).toBe(id.slice(7, 19));
    await docker.cli('rm', '-f', name);
    await docker.cli('rmi', id);
  });

  it('stops and starts, and again without complaint', async () => {
    const name = await docker.run('cycle', { command: 'sh -c "trap exit TERM; sleep 99 & wait"' });
    for (let time = 0; time < 2; time += 1) {
      const stopped = await call('docker.containers.stop', { container: name, timeout: 5 });
      expect(stopped).toEqual({ status: 'stopped' });
      expect(await stateOf(name)).toBe('exited');
    }
    for (let time = 0; time < 2; time += 1) {
      const started = await call('docker.containers.start', { container: name });
      expect(started).toEqual({ status: 'started' });
      expect(await stateOf(name)).toBe('running');
    }
  });

  it('restarts with and without a time limit of its own', async () => {
    const startedAt = () => docker.cli('inspect', '-f', '{{.State.StartedAt}}', web);
    const before = await startedAt();
    expect(await call('docker.containers.restart', { container: web, timeout: 0 })).toEqual({
      status: 'restarted',
    });
    const between = await startedAt();
    expect(between).not.toBe(before);
    const quick = await docker.run('quick', {
      command: ['sh', '-c', 'trap exit TERM; sleep 99 & wait'],
    });
    await call('docker.containers.restart', { container: quick });
    expect(await stateOf(quick)).toBe('running');
  });

  it('pauses and unpauses', async () => {
    await call('docker.containers.pause', { container: web });
    expect(await stateOf(web)).toBe('paused');
    await expect(call('docker.containers.pause', { container: web })).rejects.toMatchObject({
      name: 'CONFLICT',
    });
    await call('docker.containers.unpause', { container: web });
    expect(await stateOf(web)).toBe('running');
    await expect(call('docker.containers.unpause', { container: web })).rejects.toMatchObject({
      name: 'DOCKER_REFUSED',
    });
  });

  it('sends a signal', async () => {
    const name = await docker.run('signalled', {
      command: ['sh', '-c', 'trap "exit 7" USR1; while :; do sleep 0.1; done'],
      restart_policy: { Name: 'no' },
    });
    expect(await call('docker.containers.kill', { container: name, signal: 'SIGUSR1' })).toEqual({
      status: 'killed',
    });
    expect(await docker.cli('wait', name)).toBe('7');
    await expect(call('docker.containers.kill', { container: name })).rejects.toMatchObject({
      name: 'CONFLICT',
    });
  });

  it('renames, and refuses a name that is taken', async () => {
    const name = await docker.run('before');
    const after = docker.name('after');
    expect(await call('docker.containers.rename', { container: name, name: after })).toEqual({
      status: 'renamed',
      name: after,
    });
    expect(await stateOf(after)).toBe('running');
    await expect(
      call('docker.containers.rename', { container: after, name: web }),
    ).rejects.toMatchObject({ name: 'CONFLICT' });
  });

  it('inspects a container', async () => {
    const id = await docker.cli('inspect', '-f', '{{.Id}}', web);
    expect(await call('docker.containers.inspect', { container: web })).toMatchObject({
      Id: id,
      Name: `/${web}`,
    });
  });

  it('shows the processes, and refuses for a container that does not run', async () => {
    const { titles, processes } = await call('docker.containers.top', { container: web });
    expect(titles).toContain('CMD');
    expect(processes.map((fields) => fields.at(-1))).toContain('sleep 86400');
    const only = await call('docker.containers.top', { container: web, ps_args: '-o pid,comm' });
    expect(only.titles).toEqual(['PID', 'COMMAND']);
    const name = await docker.run('no-top', { command: ['true'], restart_policy: { Name: 'no' } });
    await docker.cli('wait', name);
    await expect(call('docker.containers.top', { container: name })).rejects.toMatchObject({
      name: 'CONFLICT',
    });
  });

  it('shows changed files as docker diff does, and none for none', async () => {
    const name = await docker.run('changing');
    const before = await call('docker.containers.diff', { container: name });
    expect(before).toEqual({ changes: [] });
    await docker.cli(
      'exec',
      name,
      'sh',
      '-c',
      'echo x > /tmp/new; echo >> /etc/passwd; rm /bin/vi',
    );
    const { changes } = await call('docker.containers.diff', { container: name });
    const letters = { modified: 'C', added: 'A', deleted: 'D' };
    const lines = changes.map(({ kind, path }) => `${letters[kind]} ${path}`);
    expect(lines.sort()).toEqual((await docker.cli('diff', name)).split('\n').sort());
    expect(lines).toContain('D /bin/vi');
  });

  it('removes a stopped container, a running one only with force', async () => {
    const name = await docker.run('removed');
    await expect(call('docker.containers.remove', { container: name })).rejects.toMatchObject({
      name: 'CONFLICT',
    });
    const removed = await call('docker.containers.remove', { container: name, force: true });
    expect(removed).toEqual({ status: 'removed' });
    expect(await docker.cli('ps', '-aq', '--filter', `name=${name}`)).toBe('');
  });

  it('removes anonymous volumes along when asked', async () => {
    const name = docker.name('with-volume');
    await docker.cli('create', '--name', name, '-v', '/data', WORKLOAD_IMAGE);
    const volume = await docker.cli('inspect', '-f', '{{(index .Mounts 0).Name}}', name);
    await call('docker.containers.remove', { container: name, volumes: true });
    expect(await docker.cli('volume', 'ls', '-q')).not.toContain(volume);
  });

  it.each([
    ['docker.containers.start', {}],
    ['docker.containers.stop', {}],
    ['docker.containers.restart', {}],
    ['docker.containers.remove', {}],
    ['docker.containers.logs', {}],
    ['docker.containers.inspect', {}],
    ['docker.containers.stats', {}],
    ['docker.containers.exec', { command: 'true' }],
    ['docker.containers.kill', {}],
    ['docker.containers.pause', {}],
    ['docker.containers.unpause', {}],
    ['docker.containers.rename', { name: 'tomo-other' }],
    ['docker.containers.top', {}],
    ['docker.containers.diff', {}],
  ] as const)(
    '%s says that there is no such container, and how to see those there are',
    async (method, extra) => {
      const failed = call(method, { container: 'tomo-no-such', ...extra } as never);
      await expect(failed).rejects.toMatchObject({
        name: 'NOT_FOUND',
        message: expect.stringContaining('docker.containers.list'),
      });
    },
  );
});
