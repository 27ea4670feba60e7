import { describe, expect, it } from 'vitest';
import { json, startScriptedEngine } from '../test/support/scripted-engine.ts';
import { DockerEngine } from './docker-engine.ts';
import { formatReference, parseReference, pullImage } from './docker-pull.ts';

const signal = new AbortController().signal;

describe('parseReference', () => {
  it.each([
    ['nginx', 'nginx:latest'],
    ['nginx:1.27', 'nginx:1.27'],
    ['localhost:5000/app', 'localhost:5000/app:latest'],
    ['localhost:5000/me/app:2', 'localhost:5000/me/app:2'],
    ['app@sha256:0123', 'app@sha256:0123'],
  ])('reads %s as %s', (image, expected) => {
    expect(formatReference(parseReference(image, 'latest'))).toBe(expected);
  });
});

describe('pullImage', () => {
  it('reads lines that arrive in pieces, the last without an end', async () => {
    await using engine = await startScriptedEngine((_call, response) => {
      response.write('{"status":"Pull');
      response.end('ing"}\r\n\n{"status":"Status: done ü"}');
    });
    const docker = new DockerEngine(engine.host);
    expect(await pullImage(docker, parseReference('a', 'b'), signal)).toBe('Status: done ü');
    expect(engine.calls[0]?.url).toBe('/images/create?fromImage=a&tag=b');
  });

  it.each([
    ['errorDetail', { errorDetail: { message: 'the words' } }],
    ['error', { error: 'the words' }],
  ])('finds a failure told as %s within a successful answer', async (_what, line) => {
    await using engine = await startScriptedEngine((_call, response) => json(response, 200, line));
    await expect(
      pullImage(new DockerEngine(engine.host), parseReference('a', 'b'), signal),
    ).rejects.toMatchObject({
      name: 'IMAGE_NOT_FOUND',
      message: expect.stringContaining('the words'),
    });
  });

  it.each([
    [404, 'IMAGE_NOT_FOUND'],
    [500, 'IMAGE_NOT_FOUND'],
    [400, 'DOCKER_REFUSED'],
  ])('turns a %i into %s', async (status, name) => {
    await using engine = await startScriptedEngine((_call, response) => {
      json(response, status, { message: 'the words' });
    });
    await expect(
      pullImage(new DockerEngine(engine.host), parseReference('a', 'b'), signal),
    ).rejects.toMatchObject({ name, message: expect.stringContaining('the words') });
  });
});
