import { expect, it } from 'vitest';
import { dockerOptions } from './docker-address.ts';

const none = undefined;

it.each([
  [undefined, '/var/run/docker.sock', none, none, 'http'],
  ['unix://', '/var/run/docker.sock', none, none, 'http'],
  ['unix:///run/user/1000/podman.sock', '/run/user/1000/podman.sock', none, none, 'http'],
  ['tcp://10.0.0.1:2376', none, '10.0.0.1', '2376', 'http'],
  ['tcp://engine', none, 'engine', 2375, 'http'],
  ['http://[fd00::1]:99', none, 'fd00::1', '99', 'http'],
  ['https://engine:2376', none, 'engine', '2376', 'https'],
])('reads DOCKER_HOST %s', (value, socketPath, host, port, protocol) => {
  expect(dockerOptions(value)).toEqual({ socketPath, host, port, protocol });
});
