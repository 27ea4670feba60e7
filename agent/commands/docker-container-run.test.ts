import { describe, expect, it } from 'vitest';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { CATALOGUE } from '../../protocol/commands/catalogue.ts';
import { commandContext } from '../../test/support/command-context.ts';
import { type EngineCall, json, startScriptedEngine } from '../../test/support/scripted-engine.ts';
import { runContainer } from './docker-container-run.ts';

const params = CATALOGUE['docker.containers.run'].params.parse({ image: 'app', name: 'web' });
const { signal } = new AbortController();
const context = commandContext({ signal });

/** What the engine answers per "METHOD /path"; 204 otherwise. */
type Script = Readonly<Record<string, [status: number, body: unknown]>>;

async function runAgainst(script: Script) {
  await using engine = await startScriptedEngine(({ method, url }: EngineCall, response) => {
    const [status, body] = script[`${method} ${url.split('?')[0]}`] ?? [204, undefined];
    if (body === undefined) response.writeHead(status).end();
    else json(response, status, body);
  });
  const outcome = runContainer(new DockerEngine(engine.host))(params, context);
  return {
    outcome: await outcome.catch((error: unknown) => error),
    calls: engine.calls.map(({ method, url }) => `${method} ${url}`),
  };
}

describe('docker.containers.run', () => {
  it('passes on the engine’s warnings', async () => {
    const { outcome } = await runAgainst({
      'POST /containers/create': [201, { Id: '0123456789abcdef', Warnings: ['no swap limit'] }],
    });
    expect(outcome).toEqual({ id: '0123456789ab', name: 'web', warnings: ['no swap limit'] });
  });

  it('pulls nothing when it is not the image that is missing', async () => {
    const { outcome, calls } = await runAgainst({
      'POST /containers/create': [404, { message: 'no such thing' }],
      'GET /images/app:latest/json': [200, { Id: 'x' }],
    });
    expect(outcome).toMatchObject({ name: 'NOT_FOUND' });
    expect(calls).not.toContainEqual(expect.stringContaining('/images/create'));
  });

  it('passes on that it could not find out which', async () => {
    const { outcome } = await runAgainst({
      'POST /containers/create': [404, { message: 'no such thing' }],
      'GET /images/app:latest/json': [500, { message: 'disk on fire' }],
    });
    expect(outcome).toMatchObject({ name: 'DOCKER_REFUSED', facts: { words: 'disk on fire' } });
  });

  it('says so when a container that did not start cannot be removed either', async () => {
    const { outcome } = await runAgainst({
      'POST /containers/create': [201, { Id: 'abc' }],
      'POST /containers/abc/start': [500, { message: 'port taken' }],
      'DELETE /containers/abc': [500, { message: 'busy' }],
    });
    expect(outcome).toMatchObject({
      name: 'DOCKER_REFUSED',
      message: expect.stringMatching(/port taken.*docker\.containers\.remove/),
      facts: { removed: false },
    });
  });

  it('counts a container that the engine has removed by itself as removed', async () => {
    const { outcome, calls } = await runAgainst({
      'POST /containers/create': [201, { Id: 'abc' }],
      'POST /containers/abc/start': [500, { message: 'port taken' }],
      'DELETE /containers/abc': [404, { message: 'gone' }],
    });
    expect(outcome).toMatchObject({ name: 'DOCKER_REFUSED', facts: { removed: true } });
    expect(calls.at(-1)).toBe('DELETE /containers/abc?force=true&v=true');
  });
});
