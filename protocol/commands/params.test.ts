import { describe, expect, it } from 'vitest';
import { CATALOGUE, type Method } from './catalogue.ts';

function accepts(method: Method, params: object): boolean {
  return CATALOGUE[method].params.safeParse(params).success;
}

describe('a name', () => {
  it.each(['db', '0123456789ab', 'a.b-c_d', 'A1'])('may be %j', (container) => {
    expect(accepts('docker.containers.start', { container })).toBe(true);
  });

  it.each([
    '',
    '../etc',
    'a/b',
    '-rf',
    '.hidden',
    'a b',
    'a?b',
    'a%2fb',
    'a\n',
    'é',
    'x'.repeat(256),
  ])('may not leave its place in an address of the engine: %j', (container) => {
    expect(accepts('docker.containers.start', { container })).toBe(false);
    expect(accepts('docker.volumes.remove', { name: container })).toBe(false);
    expect(accepts('docker.networks.remove', { name: container })).toBe(false);
  });
});

describe('an image', () => {
  it.each([
    'nginx',
    'nginx:1.27',
    'ghcr.io/me/app',
    'localhost:5000/a/b:c',
    'a@sha256:0123',
    'sha256:ab',
  ])('may be %j', (image) => {
    expect(accepts('docker.images.inspect', { image })).toBe(true);
  });

  it.each(['', '/nginx', 'a//b', 'a/../b', '../a', 'a/', 'a b', 'a?b', 'a#b', 'a/.b'])(
    'may not leave its place in an address of the engine: %j',
    (image) => {
      expect(accepts('docker.images.inspect', { image })).toBe(false);
    },
  );
});

describe('params', () => {
  it.each<[Method, object, boolean]>([
    ['docker.containers.run', { image: 'a', name: 'b', ports: { '80/tcp': 8080 } }, true],
    ['docker.containers.run', { image: 'a', name: 'b', ports: { '80': ['127.0.0.1:1', 2] } }, true],
    ['docker.containers.run', { image: 'a', name: 'b', ports: { http: 80 } }, false],
    ['docker.containers.run', { image: 'a', name: 'b', privileged: true }, false],
    ['docker.containers.run', { image: 'a', name: 'b', env: { 'A=B': 'c' } }, false],
    ['docker.containers.run', { image: 'a', name: 'b', volumes: { '/a': { bind: '/b' } } }, true],
    ['docker.containers.run', { image: 'a', name: 'b', restart_policy: { Name: 'never' } }, false],
    ['docker.containers.run', { image: 'a', name: 'b', memory: '512m', cpus: 1.5 }, true],
    ['docker.containers.run', { image: 'a' }, false],
    ['docker.containers.stop', { container: 'a', timeout: -1 }, false],
    ['docker.containers.logs', { container: 'a', follow: true }, true],
    ['docker.containers.logs', { container: 'a', since: '10m', until: 'later' }, false],
    ['docker.containers.logs', { container: 'a', grep: '' }, false],
    ['docker.events', { filters: { type: 'container', event: ['die', 'oom'] } }, true],
    ['docker.events', { filters: { types: 'container' } }, false],
    ['docker.containers.kill', { container: 'a', signal: 'HUP' }, true],
    ['docker.containers.kill', { container: 'a', signal: 'rm -rf' }, false],
    ['system.exec', { command: 'true', timeout: 0 }, false],
    ['system.exec', { command: '' }, false],
    ['docker.compose.up', { project_directory: '/srv/app' }, true],
    ['docker.compose.up', { project_directory: 'app' }, false],
    ['docker.compose.up', { project_directory: '/srv/a\0b' }, false],
    ['docker.compose.up', { project_directory: '/', file: [] }, false],
    ['docker.compose.up', { project_directory: '/', file: ['a.yml', 'b.yml'] }, true],
    ['docker.compose.up', { project_directory: '/', project: 'App' }, false],
    ['docker.compose.up', { project_directory: '/', services: ['--help'] }, false],
    ['docker.compose.up', { project_directory: '/', services: [] }, false],
    ['docker.compose.down', { project_directory: '/', services: ['web'] }, false],
    ['docker.compose.ps', {}, false],
    ['docker.compose.ps', { project: 'app' }, true],
    ['docker.compose.logs', { project_directory: '/srv/app', tail: 0 }, true],
    ['system.processes', { limit: 0 }, false],
    ['system.services', { name: 'ssh*' }, true],
    ['system.services', { name: '--help' }, false],
    ['config.update', { metrics_interval: 4 }, false],
    ['config.update', {}, true],
  ])('of %s are checked: %j: %s', (method, params, accepted) => {
    expect(accepts(method, params)).toBe(accepted);
  });

  it('get the first deployment’s defaults', () => {
    expect(CATALOGUE['docker.containers.logs'].params.parse({ container: 'a' })).toMatchObject({
      tail: 100,
    });
    expect(CATALOGUE['docker.containers.stop'].params.parse({ container: 'a' })).toMatchObject({
      timeout: 10,
    });
    expect(CATALOGUE['docker.images.pull'].params.parse({ image: 'a' })).toMatchObject({
      tag: 'latest',
    });
    expect(CATALOGUE['docker.volumes.create'].params.parse({ name: 'a' })).toMatchObject({
      driver: 'local',
    });
    expect(CATALOGUE['docker.networks.create'].params.parse({ name: 'a' })).toMatchObject({
      driver: 'bridge',
    });
    expect(CATALOGUE['system.exec'].params.parse({ command: 'a' })).toMatchObject({ timeout: 60 });
  });

  it('of docker.containers.logs get a number of lines by what else is asked', () => {
    const { params } = CATALOGUE['docker.containers.logs'];
    expect(params.parse({ container: 'a', follow: true }).tail).toBe(100);
    expect(params.parse({ container: 'a', grep: 'x' }).tail).toBeUndefined();
    expect(params.parse({ container: 'a', since: '1h' }).tail).toBeUndefined();
    expect(params.parse({ container: 'a', since: '1h', tail: 3 }).tail).toBe(3);
  });

  it('of config.update get no defaults, so that what is not named stays', () => {
    expect(CATALOGUE['config.update'].params.parse({})).toEqual({});
  });
});
