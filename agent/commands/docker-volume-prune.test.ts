import { describe, expect, it } from 'vitest';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { commandContext } from '../../test/support/command-context.ts';
import { json, startScriptedEngine } from '../../test/support/scripted-engine.ts';
import { pruneVolumes } from './docker-volume-prune.ts';

const { signal } = new AbortController();
const context = commandContext({ signal });
const ID = 'ab'.repeat(32);

/** An engine of one API version, with volumes of which `removal` is the status of removing them. */
function engineOf(ApiVersion: string, removal = 204) {
  return startScriptedEngine(({ method, url }, response) => {
    const unused = { Size: 10, RefCount: 0 };
    if (url === '/version') json(response, 200, { Version: 'x', ApiVersion });
    else if (url === '/system/df') {
      const Volumes = [
        { Name: ID, UsageData: unused },
        { Name: `${ID.slice(2)}cd`, UsageData: { Size: 10, RefCount: 1 } },
        { Name: `${ID.slice(2)}ef`, UsageData: null },
        { Name: 'named', UsageData: unused },
      ];
      json(response, 200, { Volumes });
    } else if (method === 'DELETE') json(response, removal, { message: 'the words' });
    else json(response, 200, { VolumesDeleted: null, SpaceReclaimed: 0 });
  });
}

describe('docker.volumes.prune', () => {
  it.each([
    ['1.41', { all: true }, '/volumes/prune'],
    ['1.42', {}, '/volumes/prune'],
    ['1.51', { all: true }, '/volumes/prune?filters=%7B%22all%22%3A%5B%22true%22%5D%7D'],
  ])('leaves the choice to an engine of API %s when told %j', async (version, params, url) => {
    await using engine = await engineOf(version);
    const pruned = await pruneVolumes(new DockerEngine(engine.host))(params, context);
    expect(pruned).toEqual({ deleted: [], space_reclaimed: 0 });
    expect(engine.calls.at(-1)?.url).toBe(url);
  });

  it('removes unused anonymous volumes itself where the engine would take named ones too', async () => {
    await using engine = await engineOf('1.41');
    const pruned = await pruneVolumes(new DockerEngine(engine.host))({}, context);
    expect(pruned).toEqual({ deleted: [ID], space_reclaimed: 10 });
    const changes = engine.calls.filter(({ method }) => method !== 'GET');
    expect(changes.map(({ method, url }) => `${method} ${url}`)).toEqual([`DELETE /volumes/${ID}`]);
  });

  it.each([[404], [409]])('passes over a volume whose removal answers %i', async (status) => {
    await using engine = await engineOf('1.41', status);
    const pruned = await pruneVolumes(new DockerEngine(engine.host))({}, context);
    expect(pruned).toEqual({ deleted: [], space_reclaimed: 0 });
  });

  it('fails when the engine does', async () => {
    await using engine = await engineOf('1.41', 500);
    await expect(pruneVolumes(new DockerEngine(engine.host))({}, context)).rejects.toMatchObject({
      name: 'DOCKER_REFUSED',
    });
  });
});
