import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Method, methodNames } from '../protocol/commands/catalogue.ts';
import { requireDocker } from './support/docker-engine.ts';
import { DockerFixture } from './support/docker-fixture.ts';
import { WholePath } from './support/whole-path-call.ts';

const host = requireDocker();

describe.skipIf(host === undefined)('docker.{info,df,events} on a real engine', () => {
  const docker = new DockerFixture(host ?? '');
  const { call } = docker;
  beforeAll(async () => {
    const name = await docker.run('stopped', {
      command: ['sh', '-c', 'echo 123456 > /tmp/x; sleep 600'],
      network: 'none',
    });
    await call('docker.containers.stop', { container: name, timeout: 0 });
  });
  afterAll(() => docker.cleanUp());

  it('describes the engine as docker info and docker version do', async () => {
    const info = await call('docker.info', {});
    const shown = JSON.parse(await docker.cli('info', '--format', '{{json .}}')) as object;
    const server = await docker.cli(
      'version',
      '--format',
      '{{.Server.Version}} {{.Server.APIVersion}}',
    );
    expect(`${info.version} ${info.api_version}`).toBe(server);
    expect(shown).toMatchObject({
      ID: info['id'],
      Driver: info.storage_driver,
      DockerRootDir: info.root_dir,
      OperatingSystem: info.os,
      KernelVersion: info.kernel,
      Architecture: info.arch,
      NCPU: info.cpus,
      MemTotal: info.memory,
    });
    expect(info.containers.stopped).toBeGreaterThanOrEqual(1);
    expect(info.images).toBeGreaterThanOrEqual(1);
  });

  it('tells what happened to a container as docker events does', async () => {
    const container = docker.name('stopped');
    const filters = { container, event: ['create', 'die', 'exec_create'] };
    await call('docker.containers.start', { container });
    await call('docker.containers.exec', { container, command: 'true secret' });
    await call('docker.containers.stop', { container, timeout: 0 });
    const { events = [], truncated } = await call('docker.events', { filters });
    // The docker command knows whole seconds only.
    const until = String(Math.ceil(Date.now() / 1_000) + 1);
    const wanted = [container, 'create', 'die', 'exec_create'].flatMap((value, at) => [
      '--filter',
      `${at === 0 ? 'container' : 'event'}=${value}`,
    ]);
    const span = ['--since', '10m', '--until', until];
    const shown = await docker.cli('events', ...span, '--format', '{{.ID}} {{.Action}}', ...wanted);
    const ours = events.map(({ id, action }) => `${id} ${action}`);
    expect(ours).toEqual(shown.split('\n').map((line) => line.replace(/: .*/, '')));
    expect(ours.some((line) => line.endsWith(' exec_create'))).toBe(true);
    expect(events.at(-1)?.attributes).toMatchObject({ name: container, exitCode: '137' });
    expect(truncated).toBeUndefined();
  });

  // Files run at the same time change the figures between the two questions.
  it('counts disk space as docker system df does', async () => {
    await expect
      .poll(
        async () => {
          const [df, lines] = await Promise.all([
            call('docker.df', {}),
            docker.cli('system', 'df', '--format', '{{.Type}}|{{.TotalCount}}|{{.Size}}'),
          ]);
          const kinds = [df.images, df.containers, df.volumes, df.build_cache];
          const shown = lines.split('\n').map((line) => line.split('|'));
          return kinds.every(
            ({ count, size }, at) =>
              String(count) === shown[at]?.[1] && isAbout(size, shown[at]?.[2] ?? ''),
          );
        },
        { timeout: 30_000 },
      )
      .toBe(true);
  });
});

const UNITS: Readonly<Record<string, number>> = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 };

/** The docker command shows four digits: "1.984MB". */
function isAbout(bytes: number, shown: string): boolean {
  const [, digits = '', unit = ''] = /^([\d.]+)(\w+)$/.exec(shown) ?? [];
  const value = Number(digits) * (UNITS[unit] ?? Number.NaN);
  return Math.abs(bytes - value) <= value * 0.001;
}

const PARAMS: Partial<Record<Method, object>> = {
  'docker.containers.run': { image: 'x', name: 'x' },
  'docker.containers.exec': { container: 'x', command: 'true' },
  'docker.containers.rename': { container: 'x', name: 'y' },
  'docker.images.inspect': { image: 'x' },
  'docker.images.pull': { image: 'x' },
  'docker.images.remove': { image: 'x' },
  'docker.volumes.create': { name: 'x' },
  'docker.volumes.remove': { name: 'x' },
  'docker.networks.create': { name: 'x' },
  'docker.networks.remove': { name: 'x' },
  'docker.networks.connect': { network: 'x', container: 'x' },
  'docker.networks.disconnect': { network: 'x', container: 'x' },
  'docker.compose.ps': { project: 'x' },
  'docker.compose.logs': { project: 'x' },
  'docker.compose.pull': { project_directory: '/' },
  'docker.compose.up': { project_directory: '/' },
  'docker.compose.down': { project_directory: '/' },
};

const METHODS = methodNames().filter(
  // The one that needs compose, but no engine.
  (method) => method.startsWith('docker.') && method !== 'docker.compose.config',
);

function paramsOf(method: Method): object {
  const takesNothing = /(list|ls|prune|info|df|events)$/.test(method);
  return PARAMS[method] ?? (takesNothing ? {} : { container: 'x' });
}

describe('every docker.* method without an engine', () => {
  const path = new WholePath('unix:///no/such/docker.sock');
  afterAll(() => path[Symbol.asyncDispose]());

  it.each(METHODS)('%s says that no engine answers, and what to do', async (method) => {
    await expect(path.call(method, paramsOf(method) as never)).rejects.toMatchObject({
      name: 'DOCKER_UNAVAILABLE',
      message: expect.stringContaining('DOCKER_HOST'),
    });
  });
});

describe.skipIf(host === undefined || process.geteuid?.() !== 0)(
  'every docker.* method of an agent that may not use the engine’s socket',
  () => {
    // Root's own socket, and an agent of another user.
    const path = new WholePath(host ?? '', { uid: 65_534 });
    afterAll(() => path[Symbol.asyncDispose]());

    it.each(METHODS)('%s says so, and what to do', async (method) => {
      await expect(path.call(method, paramsOf(method) as never)).rejects.toMatchObject({
        name: 'DOCKER_NOT_PERMITTED',
      });
    });

    it('system.info says so too, and the agent is connected all the same', async () => {
      expect(await path.call('system.info', {})).toMatchObject({
        docker_version: 'unknown',
        docker: { available: false, error: { name: 'DOCKER_NOT_PERMITTED' } },
      });
    });
  },
);
