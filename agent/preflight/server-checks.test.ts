import { once } from 'node:events';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { TomoError } from '../../protocol/errors.ts';
import { OwnContainer } from '../own-container/own-container.ts';
import { checkDataDir } from './data-dir-check.ts';
import { checkDisks } from './disk-check.ts';
import { checkEngine } from './engine-check.ts';
import { checkMemory } from './memory-check.ts';
import { checkNames } from './name-check.ts';
import { checkPorts } from './port-check.ts';

const { signal } = new AbortController();

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'tomo-preflight-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

const absent = new DockerEngine('unix:///no/such/socket');

describe('engine', () => {
  it.each([
    ['1.41', true],
    ['1.40', false],
  ])('with API %s passes: %s', async (api_version, ok) => {
    const version = async () => ({ version: '20.10', api_version });
    const [check] = await checkEngine({ version }, signal);
    expect(check).toMatchObject({
      name: 'engine',
      ok,
      detail: `version 20.10, API ${api_version}`,
    });
    expect(check?.next_step === undefined).toBe(ok);
  });

  it('says why it does not answer, and what to do', async () => {
    const version = async () => {
      throw new TomoError('DOCKER_NOT_PERMITTED', 'not in group docker');
    };
    expect(await checkEngine({ version }, signal)).toEqual([
      {
        name: 'engine',
        ok: false,
        detail: 'not in group docker',
        next_step: expect.stringContaining('docker.sock'),
      },
    ]);
  });
});

describe('disk', () => {
  const rooted = (DockerRootDir: unknown) => ({ request: async () => ({ DockerRootDir }) });

  it('looks at the root and at the engine’s data', async () => {
    const checks = await checkDisks(rooted(directory), { isContained: false }, signal);
    expect(checks.map(({ name }) => name)).toEqual(['disk', 'disk engine']);
    expect(checks[1]?.detail).toMatch(/^\/.*: [\d.]+ GiB of [\d.]+ GiB free$/);
  });

  it('looks below the mount of the server’s files from inside a container', async () => {
    await mkdir(path.join(directory, 'var'));
    const options = { isContained: true, hostRoot: directory };
    expect(await checkDisks(rooted('/var'), options, signal)).toMatchObject([
      { name: 'disk', detail: expect.stringMatching(/^\/: /) },
      { name: 'disk engine', detail: expect.stringMatching(/^\/var: /) },
    ]);
  });

  it.each([
    ['no engine answers', absent],
    ['the engine’s data is not to be seen', rooted('/no/such/directory')],
    ['the engine does not say', rooted(7)],
  ])('says what it sees when %s', async (_, engine) => {
    const options = { isContained: true, hostRoot: '/no/such/root' };
    expect(await checkDisks(engine, options, signal)).toMatchObject([
      { name: 'disk', detail: expect.stringContaining('the container’s own layer: ') },
    ]);
  });

  it('does not pass below both limits', async () => {
    const options = { isContained: false, freeMinBytes: 2 ** 60, freeMinShare: 2 };
    const [check] = await checkDisks(absent, options, signal);
    expect(check).toMatchObject({ ok: false, next_step: expect.stringContaining('prune') });
    expect(await checkDisks(absent, { ...options, freeMinShare: 0 }, signal)).toMatchObject([
      { ok: true },
    ]);
  });
});

describe('memory', () => {
  it('passes with enough, and says what to do without', async () => {
    expect(await checkMemory(1)).toMatchObject([{ name: 'memory', ok: true }]);
    expect(await checkMemory(2 ** 60)).toMatchObject([
      { ok: false, next_step: expect.any(String) },
    ]);
  });
});

describe('ports', () => {
  const own = new OwnContainer({ engine: absent, dataDir: '/data', isContained: false });

  it('are taken where something listens, and free elsewhere', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const look = () => checkPorts([port], { isContained: false, own }, signal);
    expect(await look()).toMatchObject([
      { name: `port ${port}`, ok: false, detail: 'taken', next_step: expect.any(String) },
    ]);
    server.close();
    await once(server, 'close');
    expect(await look()).toEqual([{ name: `port ${port}`, ok: true, detail: 'free' }]);
  });

  it('are those of the server from a container that shares its processes', async () => {
    const net = path.join(directory, '1', 'net');
    await mkdir(net, { recursive: true });
    const line = (port: string, state: string) => `   0: 00000000:${port} 00000000:0000 ${state} 0`;
    await writeFile(path.join(net, 'tcp'), [line('1F90', '0A'), line('0016', '01')].join('\n'));
    for (const [pid, id] of [
      ['1', 1],
      ['self', 2],
    ]) {
      await mkdir(path.join(directory, `${pid}/ns`), { recursive: true });
      await symlink(`mnt:[${id}]`, path.join(directory, `${pid}/ns/mnt`));
    }
    const options = { isContained: true, own, procRoot: directory };
    expect(await checkPorts([8_080, 22], options, signal)).toMatchObject([
      { name: 'port 8080', ok: false, detail: 'taken' },
      { name: 'port 22', ok: true, detail: 'free' },
    ]);
  });

  it.each([true, false])(
    'are unknown where they cannot be seen (contained: %s)',
    async (isContained) => {
      const options = { isContained, own, procRoot: directory };
      expect(await checkPorts([80], options, signal)).toMatchObject([
        { ok: false, detail: expect.stringContaining('unknown'), next_step: expect.any(String) },
      ]);
    },
  );

  it('are not looked at unless asked for', async () => {
    expect(await checkPorts([], { isContained: true, own }, signal)).toEqual([]);
  });
});

describe('names', () => {
  it('pass when they resolve, and say what to do when not', async () => {
    expect(await checkNames(['localhost', 'no-such-name.invalid'], signal)).toMatchObject([
      { name: 'dns localhost', ok: true, detail: expect.stringMatching(/127\.0\.0\.1|::1/) },
      { name: 'dns no-such-name.invalid', ok: false, next_step: expect.any(String) },
    ]);
  });
});

describe('data_dir', () => {
  const look = (dataDir: string, isContained: boolean, mounts: string[] = []) => {
    const mountinfo = path.join(directory, 'mountinfo');
    const lines = mounts.map((point) => `1 2 254:0 / ${point} rw - ext4 /dev/x rw`);
    return writeFile(mountinfo, lines.join('\n')).then(() =>
      checkDataDir(dataDir, { isContained, mountinfo }, signal),
    );
  };

  it('passes when it is writable, in a container only on a mount of its own', async () => {
    expect(await look(directory, false)).toMatchObject([{ name: 'data_dir', ok: true }]);
    expect(await look(directory, true, ['/', directory])).toMatchObject([{ ok: true }]);
    expect(await look(directory, true, ['/', path.dirname(directory)])).toMatchObject([
      { ok: true },
    ]);
    expect(await look(directory, true, ['/', `${directory}x`, '/etc/hosts'])).toMatchObject([
      {
        ok: false,
        detail: expect.stringContaining('lost with the container'),
        next_step: expect.stringContaining('-v tomo-agent-data:/data'),
      },
    ]);
  });

  it('does not pass when it is not there', async () => {
    expect(await look(path.join(directory, 'absent'), false)).toMatchObject([
      {
        ok: false,
        detail: expect.stringContaining('ENOENT'),
        next_step: expect.stringContaining('absent'),
      },
    ]);
  });
});
