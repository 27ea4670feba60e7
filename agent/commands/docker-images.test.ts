import { expect, it } from 'vitest';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { listeningContext } from '../../test/support/command-context.ts';
import { json, startScriptedEngine } from '../../test/support/scripted-engine.ts';
import { runContainer } from './docker-container-run.ts';
import { dockerImageHandlers } from './docker-images.ts';

const LINES = [
  { status: 'Pulling fs layer', id: 'one' },
  { status: 'Downloading', id: 'one', progressDetail: { current: 5, total: 10 } },
  { status: 'Status: Downloaded' },
];
const PULLED = LINES.map((line) => JSON.stringify(line)).join('\n');

it('says how far a pull is', async () => {
  await using engine = await startScriptedEngine((_call, response) => response.end(PULLED));
  const { context, steps } = listeningContext();
  const pull = dockerImageHandlers(new DockerEngine(engine.host))['docker.images.pull'];
  expect(await pull({ image: 'app', tag: 'latest' }, context)).toEqual({
    status: 'pulled',
    image: 'app:latest',
    detail: 'Status: Downloaded',
  });
  expect(steps).toEqual([
    { message: 'Pulling fs layer', fraction: 0 },
    { message: 'Downloading', fraction: 0.25 },
    { message: 'Status: Downloaded', fraction: 0.25 },
  ]);
});

it('says so, too, when a container is run whose image has to be pulled', async () => {
  await using engine = await startScriptedEngine(({ url }, response) => {
    if (url.startsWith('/images/create')) response.end(PULLED);
    else json(response, 404, { message: 'no such image' });
  });
  const { context, steps } = listeningContext();
  const run = runContainer(new DockerEngine(engine.host));
  await expect(run({ name: 'web', image: 'app' }, context)).rejects.toHaveProperty('name');
  expect(steps[1]).toEqual({ message: 'pull: Downloading', fraction: 0.25 });
});
