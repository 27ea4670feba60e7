import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import {
  json,
  type ScriptedEngine,
  startScriptedEngine,
} from '../../test/support/scripted-engine.ts';
import { OwnContainer } from './own-container.ts';

const ID = 'a1'.repeat(32);
const OTHER = 'b2'.repeat(32);
const { signal } = new AbortController();

const INSPECTED = {
  Id: ID,
  Name: '/tomo-agent',
  Image: 'sha256:1234',
  Mounts: [
    { Type: 'volume', Name: 'tomo-agent-data', Source: '/var/lib/v', Destination: '/data' },
    { Type: 'bind', Source: '/var/run/docker.sock', Destination: '/var/run/docker.sock' },
  ],
  Config: { Labels: { 'tomo.agent': '1' }, User: '' },
  HostConfig: { NetworkMode: 'host', PidMode: 'host', SecurityOpt: ['label=disable'] },
};

let directory = '';
let engine: ScriptedEngine;
let inspected: object = INSPECTED;
beforeEach(async () => {
  inspected = INSPECTED;
  directory = await mkdtemp(path.join(tmpdir(), 'tomo-own-'));
  engine = await startScriptedEngine(({ url }, response) => {
    const isOurs = url.startsWith(`/containers/${ID}`) || url.startsWith(`/containers/${SHORT}/`);
    if (isOurs) json(response, 200, inspected);
    else json(response, 404, { message: 'No such container' });
  });
});
const SHORT = ID.slice(0, 12);
afterEach(async () => {
  await engine[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

interface Seen {
  readonly mountinfo?: string;
  readonly cgroup?: string;
  readonly hostname?: string;
  readonly isContained?: boolean;
  readonly dataDir?: string;
}

async function own({ mountinfo, cgroup, hostname = 'vm', ...seen }: Seen): Promise<OwnContainer> {
  const { isContained = true, dataDir = '/data' } = seen;
  if (mountinfo !== undefined) await writeFile(path.join(directory, 'mountinfo'), mountinfo);
  if (cgroup !== undefined) await writeFile(path.join(directory, 'cgroup'), cgroup);
  const options = { dataDir, isContained, processDirectory: directory, hostname };
  return new OwnContainer({ engine: new DockerEngine(engine.host), ...options });
}

const mount = (root: string, point: string) => `131 74 254:0 ${root} ${point} rw - ext4 /dev/x rw`;

describe('OwnContainer', () => {
  it.each([
    [
      'Docker’s mounts',
      { mountinfo: mount(`/var/lib/docker/containers/${ID}/hostname`, '/etc/hostname') },
    ],
    [
      'Podman’s mounts',
      { mountinfo: mount(`/storage/overlay-containers/${ID}/userdata/hosts`, '/etc/hosts') },
    ],
    ['its control group', { cgroup: `9:pids:/docker/${OTHER}/docker/${ID}\n0::/\n` }],
    ['its hostname', { cgroup: '0::/\n', hostname: SHORT }],
  ])('finds itself by %s', async (_, seen) => {
    const facts = await (await own(seen)).facts(signal);
    expect(facts).toMatchObject({
      id: ID,
      name: 'tomo-agent',
      image: 'sha256:1234',
      volume: 'tomo-agent-data',
      networkMode: 'host',
      pidMode: 'host',
      labels: { 'tomo.agent': '1' },
      permissions: { SecurityOpt: ['label=disable'], GroupAdd: [], UsernsMode: '' },
    });
  });

  it('does not take other containers’ folders below /host for its own', async () => {
    const mountinfo = [
      mount('/', `/host/var/lib/docker/containers/${OTHER}/mounts/shm`),
      mount(`/var/lib/docker/containers/${OTHER}/hosts`, '/host/etc/hosts'),
      mount(`/var/lib/docker/containers/${ID}/resolv.conf`, '/etc/resolv.conf'),
    ].join('\n');
    expect(await (await own({ mountinfo })).facts(signal)).toHaveProperty('id', ID);
  });

  it('asks the engine once', async () => {
    const found = await own({ cgroup: ID });
    await found.facts(signal);
    await found.facts(signal);
    expect(engine.calls).toHaveLength(1);
  });

  it.each([
    ['outside a container', { cgroup: ID, isContained: false }],
    ['with nothing that tells its id', { cgroup: '0::/' }],
    ['where the engine knows no such container', { cgroup: OTHER }],
  ])('is none %s', async (_, seen) => {
    const found = await own(seen);
    expect(await found.facts(signal)).toBeUndefined();
    await expect(found.ours('Do it by hand.', signal)).rejects.toMatchObject({
      name: 'NOT_CONTAINERISED',
      message: expect.stringContaining('Do it by hand.'),
    });
  });

  it('has no data volume when DATA_DIR is on something else', async () => {
    const found = await own({ cgroup: ID, dataDir: '/elsewhere' });
    expect(await found.facts(signal)).toHaveProperty('volume', null);
  });

  it('is not ours without the label, nor while its engine does not answer', async () => {
    inspected = { ...INSPECTED, Config: {}, HostConfig: {}, Mounts: null };
    const unlabelled = await own({ cgroup: ID });
    expect(await unlabelled.facts(signal)).toMatchObject({ labels: {}, networkMode: 'default' });
    await expect(unlabelled.ours('', signal)).rejects.toHaveProperty('name', 'NOT_CONTAINERISED');

    inspected = { nonsense: true };
    const silent = await own({ cgroup: ID });
    await expect(silent.facts(signal)).rejects.toHaveProperty('name', 'DOCKER_REFUSED');
    await expect(silent.ours('', signal)).rejects.toMatchObject({
      name: 'NOT_CONTAINERISED',
      cause: { name: 'DOCKER_REFUSED' },
    });
    // It is asked again, and found, once the engine is itself again.
    inspected = INSPECTED;
    expect(await silent.ours('', signal)).toHaveProperty('id', ID);
  });
});
