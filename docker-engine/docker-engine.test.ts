import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { json, startScriptedEngine } from '../test/support/scripted-engine.ts';
import { DockerEngine } from './docker-engine.ts';

const version = { Version: '20.10.24', ApiVersion: '1.41' };

describe('DockerEngine', () => {
  it.each([
    ['a socket that is not there', 'unix:///no/such/docker.sock'],
    ['a port where nothing listens', 'tcp://127.0.0.1:1'],
    ['a DOCKER_HOST of another kind', 'ssh://somewhere'],
    ['a DOCKER_HOST that is no address', 'somewhere'],
  ])('says that no engine answers for %s', async (_what, host) => {
    await expect(new DockerEngine(host).version()).rejects.toMatchObject({
      name: 'DOCKER_UNAVAILABLE',
      message: expect.stringContaining('DOCKER_HOST'),
    });
  });

  it('says that it may not use the socket', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'tomo-denied-'));
    const path = join(directory, 'docker.sock');
    const server = createServer().listen(path);
    await once(server, 'listening');
    await chmod(directory, 0o755);
    await chmod(path, 0o000);
    const docker = new DockerEngine(`unix://${path}`);
    await import('dockerode');
    // Root may use any socket.
    const asRoot = process.geteuid?.() === 0;
    if (asRoot) process.seteuid?.(65_534);
    try {
      await expect(docker.version()).rejects.toMatchObject({ name: 'DOCKER_NOT_PERMITTED' });
    } finally {
      if (asRoot) process.seteuid?.(0);
      server.close();
      await rm(directory, { recursive: true });
    }
  });

  it.each([['127.0.0.1'], ['::1']])('reaches an engine by TCP on %s', async (address) => {
    await using engine = await startScriptedEngine((_call, response) => {
      json(response, 200, version);
    }, address);
    expect(await new DockerEngine(engine.host).version()).toEqual({
      version: '20.10.24',
      api_version: '1.41',
    });
    expect(engine.calls).toEqual([{ method: 'GET', url: '/version', body: '' }]);
  });

  it('knows no id of Podman, which makes a new one for every answer', async () => {
    await using engine = await startScriptedEngine((_call, response) => {
      const counts = { Containers: 0, ContainersRunning: 0 };
      json(response, 200, { ID: 'ABCD', ...counts, BuildahVersion: '1.33.2' });
    });
    expect(await new DockerEngine(engine.host).id()).toBe('');
  });

  it('counts containers and knows the engine’s id', async () => {
    await using engine = await startScriptedEngine((_call, response) => {
      json(response, 200, { ID: 'ABCD', Containers: 5, ContainersRunning: 2 });
    });
    const docker = new DockerEngine(engine.host);
    expect(await docker.counts()).toEqual({ running: 2, stopped: 3 });
    expect(await docker.id()).toBe('ABCD');
  });

  it('sends the body as a body and not in the address', async () => {
    await using engine = await startScriptedEngine((_call, response) => {
      json(response, 201, { Id: 'x' });
    });
    const request = { method: 'POST', path: '/containers/create', query: { name: 'n' } } as const;
    await new DockerEngine(engine.host).request({ ...request, body: { Env: ['SECRET=1'] } });
    expect(engine.calls).toEqual([
      { method: 'POST', url: '/containers/create?name=n', body: '{"Env":["SECRET=1"]}' },
    ]);
  });

  it.each([
    ['null', null],
    ['', null],
    ['OK', 'OK'],
    ['{"a":1}', { a: 1 }],
  ])('answers %j as %j', async (body, expected) => {
    await using engine = await startScriptedEngine((_call, response) => void response.end(body));
    expect(await new DockerEngine(engine.host).request({ path: '/x' })).toEqual(expected);
  });

  it('takes "already so" for a success', async () => {
    await using engine = await startScriptedEngine(
      (_call, response) => void response.writeHead(304).end(),
    );
    const request = { method: 'POST', path: '/containers/x/start' } as const;
    expect(await new DockerEngine(engine.host).request(request)).toBeNull();
  });

  it.each([
    [404, { kind: 'container', name: 'x' }, 'NOT_FOUND'],
    [404, { kind: 'image', name: 'x' }, 'IMAGE_NOT_FOUND'],
    [409, { kind: 'volume', name: 'x' }, 'CONFLICT'],
    [403, { kind: 'network', name: 'x' }, 'CONFLICT'],
    [403, { kind: 'container', name: 'x' }, 'DOCKER_REFUSED'],
    [400, { kind: 'engine' }, 'DOCKER_REFUSED'],
    [500, { kind: 'engine' }, 'DOCKER_REFUSED'],
  ] as const)(
    'turns a %i about %j into %s, with the engine’s words',
    async (status, subject, name) => {
      await using engine = await startScriptedEngine((_call, response) => {
        json(response, status, { message: 'the words' });
      });
      const docker = new DockerEngine(engine.host);
      const expected = {
        name,
        message: expect.stringMatching(/^the words\./),
        facts: { status, words: 'the words' },
      };
      await expect(docker.request({ path: '/x', subject })).rejects.toMatchObject(expected);
      const read = async () => 'unread';
      await expect(docker.stream({ path: '/x', subject }, read)).rejects.toMatchObject(expected);
    },
  );

  it('passes on the words of a refusal that is not JSON', async () => {
    await using engine = await startScriptedEngine(
      (_call, response) => void response.writeHead(502).end('bad gateway'),
    );
    await expect(new DockerEngine(engine.host).request({ path: '/x' })).rejects.toMatchObject({
      name: 'DOCKER_REFUSED',
      message: 'bad gateway.',
    });
  });

  it('refuses an answer of which it cannot read the fields', async () => {
    await using engine = await startScriptedEngine((_call, response) => {
      json(response, 200, { Version: 1 });
    });
    await expect(new DockerEngine(engine.host).version()).rejects.toMatchObject({
      name: 'DOCKER_REFUSED',
    });
  });

  it.each([
    ['cancelled', 'COMMAND_CANCELLED', () => new DOMException('stop', 'AbortError')],
    ['out of time', 'COMMAND_TIMED_OUT', () => new DOMException('late', 'TimeoutError')],
  ] as const)('gives up an engine that hangs when %s', async (_why, name, reason) => {
    const controller = new AbortController();
    await using engine = await startScriptedEngine(() => controller.abort(reason()));
    const { signal } = controller;
    const docker = new DockerEngine(engine.host);
    await expect(docker.version(signal)).rejects.toMatchObject({ name });
  });

  it('gives up an answer in the middle when cancelled', async () => {
    const controller = new AbortController();
    await using engine = await startScriptedEngine((_call, response) => {
      response.write('{"half');
    });
    const docker = new DockerEngine(engine.host);
    const read = docker.stream({ path: '/x', signal: controller.signal }, async (bytes) => {
      for await (const _chunk of bytes) controller.abort();
    });
    await expect(read).rejects.toMatchObject({ name: 'COMMAND_CANCELLED' });
  });

  it('says that the engine went away in the middle of an answer', async () => {
    await using engine = await startScriptedEngine((_call, response) => {
      response.write('{"half', () => response.destroy());
    });
    const docker = new DockerEngine(engine.host);
    const read = docker.stream({ path: '/x' }, async (bytes) => {
      for await (const _chunk of bytes);
    });
    await expect(read).rejects.toMatchObject({ name: 'DOCKER_UNAVAILABLE' });
  });

  it('hides a fault of its own reader', async () => {
    await using engine = await startScriptedEngine((_call, response) => void response.end('x'));
    const docker = new DockerEngine(engine.host);
    const read = docker.stream({ path: '/x' }, () => Promise.reject(new RangeError('own fault')));
    await expect(read).rejects.toMatchObject({
      name: 'INTERNAL_ERROR',
      cause: expect.any(RangeError),
    });
  });
});
