import { describe, expect, it } from 'vitest';
import { json, startScriptedEngine } from '../test/support/scripted-engine.ts';
import { DockerEngine } from './docker-engine.ts';
import { formatReference, parseReference, pullImage } from './docker-pull.ts';
import { Layers } from './pull-layers.ts';

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

  it('tells how far it is, each layer fetched and then unpacked, and never goes back', async () => {
    const lines = [
      { status: 'Pulling from a', id: 'latest' },
      // Of the layers below those that are fetched, which an engine names first.
      { status: 'Already exists', id: 'base', progressDetail: {} },
      { status: 'Pulling fs layer', id: 'one', progressDetail: {} },
      { status: 'Pulling fs layer', id: 'two', progressDetail: {} },
      { status: 'Downloading', id: 'one', progressDetail: { current: 5, total: 10 } },
      { status: 'Extracting', id: 'one', progressDetail: { current: 1, total: 10 } },
      { status: 'Pulling fs layer', id: 'three' },
      { status: 'Pull complete', id: 'one' },
      { status: 'Pull complete', id: 'two' },
      { status: 'Downloading', id: 'three', progressDetail: { current: 3 } },
      { status: 'Pull complete', id: 'three' },
      { status: 'Status: done' },
    ];
    await using engine = await startScriptedEngine((_call, response) => {
      response.end(lines.map((line) => JSON.stringify(line)).join('\n'));
    });
    const seen: unknown[] = [];
    const docker = new DockerEngine(engine.host);
    await pullImage(docker, parseReference('a', 'b'), signal, (line, fraction) => {
      seen.push([line, fraction === undefined ? undefined : Math.round(fraction * 1_000)]);
    });
    expect(seen).toEqual([
      ['Pulling from a', undefined],
      ['Already exists', undefined],
      ['Pulling fs layer', 0],
      ['Pulling fs layer', 0],
      ['Downloading', 125],
      ['Extracting', 275],
      ['Pulling fs layer', 275],
      ['Pull complete', 333],
      ['Pull complete', 667],
      ['Downloading', 667],
      ['Pull complete', 1_000],
      ['Status: done', 1_000],
    ]);
  });

  it('does not wait for the end of a line that has none', async () => {
    await using engine = await startScriptedEngine((_call, response) => {
      response.write('x'.repeat(2 * 1024 * 1024));
    });
    await expect(
      pullImage(new DockerEngine(engine.host), parseReference('a', 'b'), signal),
    ).rejects.toMatchObject({ name: 'DOCKER_REFUSED' });
  });

  it('counts no more layers than an image can have', () => {
    const layers = new Layers();
    for (let count = 0; count < 1_000; count += 1) layers.note(String(count), 'Waiting');
    layers.note('one more', 'Pull complete');
    expect(layers.fraction).toBe(0);
    layers.note('0', 'Pull complete');
    expect(layers.fraction).toBe(0.001);
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
