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
import { type Guard, selfProtection } from './self-protection.ts';

const ID = 'a1'.repeat(32);
const { signal } = new AbortController();

const details = { Image: 'i', HostConfig: {} };
const CONTAINERS: Record<string, object> = {
  own: {
    ...details,
    Id: ID,
    Name: '/own',
    Config: { Labels: {} },
    Mounts: [{ Type: 'volume', Name: 'own-data', Source: '/v', Destination: '/data' }],
  },
  helper: { Id: 'c', Config: { Labels: { 'tomo.helper': '1' } } },
  other: { Id: 'd', Config: { Labels: { 'tomo.agent': '1' } } },
};

let directory = '';
let engine: ScriptedEngine;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'tomo-guard-'));
  await writeFile(path.join(directory, 'cgroup'), ID);
  engine = await startScriptedEngine(({ url }, response) => {
    const name = url.split('/')[2] ?? '';
    const found = ID.startsWith(name) ? CONTAINERS['own'] : CONTAINERS[name];
    if (name === 'broken') json(response, 500, { message: 'engine trouble' });
    else if (found === undefined) json(response, 404, { message: 'No such container' });
    else json(response, 200, found);
  });
});
afterEach(async () => {
  await engine[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

function guard(isContained = true): Guard {
  const docker = new DockerEngine(engine.host);
  const options = { engine: docker, dataDir: '/data', isContained, processDirectory: directory };
  return selfProtection(docker, new OwnContainer(options));
}

const HARM = ['stop', 'restart', 'remove', 'kill', 'pause', 'rename'].map(
  (verb) => `docker.containers.${verb}`,
);
const NAMES = ['own', ID, ID.slice(0, 6), 'helper'];

describe('the agent', () => {
  it.each([...HARM, 'docker.networks.disconnect'])(
    'refuses %s of itself and its helpers',
    async (method) => {
      for (const container of NAMES) {
        const refused = guard()(method, { container, network: 'n' }, signal);
        await expect(refused).rejects.toMatchObject({
          name: 'SELF_PROTECTED',
          message: expect.stringMatching(/agent\.restart.*uninstall_agent/),
        });
      }
    },
  );

  it.each(HARM)('leaves %s of other containers to the engine, absent ones too', async (method) => {
    for (const container of ['other', 'absent']) await guard()(method, { container }, signal);
  });

  it('lets itself be looked at and worked in', async () => {
    for (const verb of ['exec', 'inspect', 'logs', 'start', 'unpause', 'top']) {
      await guard()(`docker.containers.${verb}`, { container: 'own' }, signal);
    }
    expect(engine.calls).toEqual([]);
  });

  it('refuses to remove its data volume, and no other', async () => {
    const refused = guard()('docker.volumes.remove', { name: 'own-data' }, signal);
    await expect(refused).rejects.toHaveProperty('name', 'SELF_PROTECTED');
    await guard()('docker.volumes.remove', { name: 'other-data' }, signal);
  });

  it('has nothing to protect outside a container', async () => {
    await guard(false)('docker.containers.stop', { container: 'own' }, signal);
    await guard(false)('docker.volumes.remove', { name: 'own-data' }, signal);
    expect(engine.calls).toEqual([]);
  });

  it('rather refuses than guesses when the engine is in trouble', async () => {
    const refused = guard()('docker.containers.stop', { container: 'broken' }, signal);
    await expect(refused).rejects.toHaveProperty('name', 'DOCKER_REFUSED');
  });
});
