import { describe, expect, it } from 'vitest';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { type EngineCall, json, startScriptedEngine } from '../../test/support/scripted-engine.ts';
import { OwnContainer } from './own-container.ts';
import { startUninstall } from './uninstall-agent.ts';

const ID = 'a1'.repeat(32);
const INSPECTED = {
  Id: ID,
  Name: '/tomo-agent',
  Image: 'sha256:1234',
  Mounts: [
    { Type: 'bind', Source: '/', Destination: '/' },
    { Type: 'volume', Name: 'data', Source: '/v', Destination: '/data' },
    { Type: 'bind', Source: '/srv/run', Destination: '/var/run/' },
    { Type: 'bind', Source: '/run/docker.sock', Destination: '/var/run/docker.sock' },
  ],
  Config: { Labels: { 'tomo.agent': '1' }, User: '0' },
  HostConfig: { NetworkMode: 'agents', SecurityOpt: ['label=disable'] },
};

interface Options {
  readonly dockerHost?: string;
  readonly inspected?: object;
  readonly startStatus?: number;
}

async function uninstall({ dockerHost, inspected = INSPECTED, startStatus = 204 }: Options = {}) {
  await using scripted = await startScriptedEngine(({ method, url }, response) => {
    if (url.startsWith('/containers/create')) return json(response, 201, { Id: 'helper' });
    if (url.endsWith('/start')) return json(response, startStatus, { message: 'no' });
    return json(response, method === 'DELETE' ? 500 : 200, inspected);
  });
  const engine = new DockerEngine(scripted.host);
  const options = { engine, dataDir: '/data', isContained: true, processDirectory: '/no/such' };
  const own = new OwnContainer({ ...options, hostname: ID.slice(0, 12) });
  const { signal } = new AbortController();
  const outcome = await startUninstall({ own, engine, dockerHost }, signal).catch(
    (error: unknown) => error,
  );
  return { outcome, calls: scripted.calls };
}

function bodyOf(calls: readonly EngineCall[]): Record<string, unknown> {
  const create = calls.find(({ url }) => url.startsWith('/containers/create'));
  return JSON.parse(create?.body ?? '{}') as Record<string, unknown>;
}

describe('uninstalling', () => {
  it('starts a helper of the agent’s own image that can reach the engine and nothing else', async () => {
    const { outcome, calls } = await uninstall();
    expect(outcome).toEqual({ container: 'tomo-agent', volume: 'data' });
    expect(calls.map(({ method, url }) => `${method} ${url}`)).toEqual([
      `GET /containers/${ID.slice(0, 12)}/json`,
      expect.stringMatching(/^POST \/containers\/create\?name=tomo-agent-uninstall-[0-9a-f]{6}$/),
      'POST /containers/helper/start',
    ]);
    expect(bodyOf(calls)).toEqual({
      Image: 'sha256:1234',
      Cmd: ['uninstall', ID, 'data'],
      Env: [],
      Labels: { 'tomo.helper': '1' },
      User: '0',
      Healthcheck: { Test: ['NONE'] },
      HostConfig: {
        SecurityOpt: ['label=disable'],
        GroupAdd: [],
        UsernsMode: '',
        AutoRemove: true,
        Binds: ['/run/docker.sock:/var/run/docker.sock'],
        NetworkMode: 'none',
      },
    });
  });

  it('leaves what is no volume alone', async () => {
    const inspected = { ...INSPECTED, Mounts: INSPECTED.Mounts.slice(2) };
    const { outcome, calls } = await uninstall({ inspected });
    expect(outcome).toHaveProperty('volume', null);
    expect(bodyOf(calls)).toMatchObject({ Cmd: ['uninstall', ID, '-'] });
  });

  it('takes the folder that holds the socket, when that is what is mounted', async () => {
    const inspected = { ...INSPECTED, Mounts: INSPECTED.Mounts.slice(0, 3) };
    expect(bodyOf((await uninstall({ inspected })).calls)).toMatchObject({
      HostConfig: { Binds: ['/srv/run:/var/run/'] },
    });
  });

  it('lets the helper reach an engine behind TCP as the agent does', async () => {
    const dockerHost = 'tcp://docker-proxy:2375';
    expect(bodyOf((await uninstall({ dockerHost })).calls)).toMatchObject({
      Env: [`DOCKER_HOST=${dockerHost}`],
      HostConfig: { Binds: [], NetworkMode: 'agents' },
    });
  });

  it.each([
    ['carries no label of ours', { ...INSPECTED, Config: {} }],
    ['has the socket from elsewhere', { ...INSPECTED, Mounts: [] }],
  ])('is refused when the container %s, and makes nothing', async (_, inspected) => {
    const { outcome, calls } = await uninstall({ inspected });
    expect(outcome).toHaveProperty('name', 'NOT_CONTAINERISED');
    expect(calls).toHaveLength(1);
  });

  it('removes a helper again that does not start', async () => {
    const { outcome, calls } = await uninstall({ startStatus: 500 });
    expect(outcome).toHaveProperty('name', 'DOCKER_REFUSED');
    expect(calls.at(-1)).toMatchObject({ method: 'DELETE', url: '/containers/helper?force=true' });
  });
});
