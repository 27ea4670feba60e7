import type { DockerOptions } from 'dockerode';
import { TomoError } from '../protocol/errors.ts';

const DEFAULT_SOCKET = '/var/run/docker.sock';
const DEFAULT_PORT = 2375;

/**
 * Where the engine listens, from a DOCKER_HOST value: `unix://PATH`, `tcp://HOST:PORT`, `http://` or
 * `https://`; undefined is /var/run/docker.sock. Every field is set, because the library fills absent
 * ones from the environment.
 */
export function dockerOptions(dockerHost: string | undefined): DockerOptions {
  if (dockerHost === undefined) return socketOptions(DEFAULT_SOCKET);
  if (dockerHost.startsWith('unix://')) {
    return socketOptions(dockerHost.slice('unix://'.length) || DEFAULT_SOCKET);
  }
  const url = URL.parse(dockerHost);
  if (url === null || !['tcp:', 'http:', 'https:'].includes(url.protocol) || url.hostname === '') {
    throw new TomoError(
      'DOCKER_UNAVAILABLE',
      `DOCKER_HOST is "${dockerHost}", but must be unix://PATH, tcp://HOST:PORT, http://HOST:PORT or https://HOST:PORT. Start the agent again with one of these.`,
      { facts: { docker_host: dockerHost } },
    );
  }
  return {
    socketPath: undefined,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? DEFAULT_PORT : url.port,
    protocol: url.protocol === 'https:' ? 'https' : 'http',
  };
}

function socketOptions(socketPath: string): DockerOptions {
  return { socketPath, host: undefined, port: undefined, protocol: 'http' };
}
