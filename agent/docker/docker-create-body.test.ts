import { expect, it } from 'vitest';
import { CATALOGUE, type ParamsInputOf } from '../../protocol/commands/catalogue.ts';
import { createBody } from './docker-create-body.ts';

function bodyOf(params: Partial<ParamsInputOf<'docker.containers.run'>>): unknown {
  const run = CATALOGUE['docker.containers.run'].params.parse({ image: 'i', name: 'n', ...params });
  return JSON.parse(JSON.stringify(createBody(run)));
}

it('asks for nothing but the image and a restart policy unless told to', () => {
  expect(bodyOf({})).toEqual({
    Image: 'i',
    ExposedPorts: {},
    HostConfig: { PortBindings: {}, Binds: [], RestartPolicy: { Name: 'unless-stopped' } },
  });
});

it.each([
  [8080, [{ HostIp: '', HostPort: '8080' }]],
  ['8080', [{ HostIp: '', HostPort: '8080' }]],
  ['127.0.0.1:8080', [{ HostIp: '127.0.0.1', HostPort: '8080' }]],
  ['[::1]:8080', [{ HostIp: '::1', HostPort: '8080' }]],
  [0, [{ HostIp: '', HostPort: '' }]],
  ['127.0.0.1:0', [{ HostIp: '127.0.0.1', HostPort: '' }]],
  [
    [80, 81],
    [
      { HostIp: '', HostPort: '80' },
      { HostIp: '', HostPort: '81' },
    ],
  ],
])('publishes a port on %j', (host, bindings) => {
  expect(bodyOf({ ports: { '80': host } })).toMatchObject({
    ExposedPorts: { '80/tcp': {} },
    HostConfig: { PortBindings: { '80/tcp': bindings } },
  });
});

it.each([
  [1_000, 1_000],
  ['1000', 1_000],
  ['1000b', 1_000],
  ['2K', 2_048],
  ['512m', 536_870_912],
  ['1g', 1_073_741_824],
])('limits memory of %j to %i bytes', (memory, bytes) => {
  expect(bodyOf({ memory })).toMatchObject({ HostConfig: { Memory: bytes } });
});

it.each([
  ['/dev/a', ['/dev/a', '/dev/a', 'rwm']],
  ['/dev/a:/dev/b', ['/dev/a', '/dev/b', 'rwm']],
  ['/dev/a:/dev/b:r', ['/dev/a', '/dev/b', 'r']],
])('hands on the device %s', (device, [host, container, permissions]) => {
  expect(bodyOf({ devices: [device] })).toMatchObject({
    HostConfig: {
      Devices: [{ PathOnHost: host, PathInContainer: container, CgroupPermissions: permissions }],
    },
  });
});

it('splits a command given as one string, and leaves a list as it is', () => {
  expect(bodyOf({ command: 'a "b c"', entrypoint: ['d e'] })).toMatchObject({
    Cmd: ['a', 'b c'],
    Entrypoint: ['d e'],
  });
});

it('counts the times of a health check in nanoseconds', () => {
  const healthcheck = {
    test: ['CMD', 'true'],
    interval_seconds: 1.5,
    timeout_seconds: 2,
    start_period_seconds: 0,
  };
  expect(bodyOf({ healthcheck })).toMatchObject({
    Healthcheck: { Test: ['CMD', 'true'], Interval: 1.5e9, Timeout: 2e9, StartPeriod: 0 },
  });
});
