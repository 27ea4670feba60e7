import { describe, expect, it } from 'vitest';
import { ConfigurationError, commandEnvironment, readOptions } from './config.ts';

describe('readOptions', () => {
  it('fills in the defaults and takes an empty value as not set', () => {
    expect(readOptions({ SERVER_URL: '', ACCESS: '', LOG_LEVEL: '', DATA_DIR: '' })).toEqual({
      serverUrl: undefined,
      serverFingerprint: undefined,
      caCert: undefined,
      usesProxy: false,
      registerCode: undefined,
      access: 'admin',
      dataDir: '/data',
      dockerHost: undefined,
      logLevel: 'info',
      hasParent: false,
      hasHealthCheck: false,
    });
  });

  it('takes what is set and freezes it', () => {
    const options = readOptions({
      SERVER_URL: 'wss://hub.example:8443/ws/agent?x=1',
      SERVER_FINGERPRINT: `SHA256:${'AB:'.repeat(31)}AB`,
      CA_CERT: '/etc/ca.pem',
      https_proxy: 'http://proxy.example:3128',
      REGISTER_CODE: '7K2Q-M9XW-4TND-8HJA',
      ACCESS: 'read',
      DATA_DIR: '/var/lib/tomo',
      DOCKER_HOST: 'tcp://127.0.0.1:2375',
      LOG_LEVEL: 'debug',
      TOMO_AGENT_PARENT: '1',
      TOMO_AGENT_IMAGE: '1',
    });
    expect(options).toEqual({
      serverUrl: 'wss://hub.example:8443/ws/agent?x=1',
      serverFingerprint: 'ab'.repeat(32),
      caCert: '/etc/ca.pem',
      usesProxy: true,
      registerCode: '7K2Q-M9XW-4TND-8HJA',
      access: 'read',
      dataDir: '/var/lib/tomo',
      dockerHost: 'tcp://127.0.0.1:2375',
      logLevel: 'debug',
      hasParent: true,
      hasHealthCheck: true,
    });
    expect(Object.isFrozen(options)).toBe(true);
  });

  it.each([
    ['SERVER_URL', 'http://hub.example/ws/agent', 'ws://'],
    ['SERVER_URL', 'hub.example', 'ws://'],
    ['SERVER_URL', 'ws://hub.example/#x', '#'],
    ['SERVER_FINGERPRINT', 'abc', '64 hexadecimal digits'],
    ['REGISTER_CODE', 'x'.repeat(129), '128'],
    ['ACCESS', 'root', 'operate'],
    ['LOG_LEVEL', 'loud', 'info'],
  ])('refuses %s=%s in one line that names it and what is allowed', (name, value, allowed) => {
    const read = () => readOptions({ [name]: value });
    expect(read).toThrow(ConfigurationError);
    expect(read).toThrow(new RegExp(`^${name}: .*${allowed}.*$`));
  });
});

describe('commandEnvironment', () => {
  it('leaves the agent’s settings and secrets out and keeps the rest', () => {
    const environment = {
      PATH: '/bin',
      DOCKER_HOST: 'unix:///x',
      HTTPS_PROXY: 'http://proxy',
      no_proxy: 'local',
      REGISTER_CODE: 'secret',
      UNSET: undefined,
    };
    const own = {
      SERVER_URL: 'ws://x',
      SERVER_FINGERPRINT: 'ab',
      CA_CERT: '/ca.pem',
      ACCESS: 'read',
      DATA_DIR: '/d',
      LOG_LEVEL: 'info',
      TOMO_TOKEN: 'secret',
    };
    expect(commandEnvironment({ ...environment, ...own })).toEqual({
      PATH: '/bin',
      DOCKER_HOST: 'unix:///x',
      HTTPS_PROXY: 'http://proxy',
      no_proxy: 'local',
    });
  });
});
