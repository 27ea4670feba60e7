import { describe, expect, it } from 'vitest';
import { CATALOGUE } from './catalogue.ts';
import { requiredAccess } from './required-access.ts';

describe('requiredAccess', () => {
  it('is the method’s own access', () => {
    expect(requiredAccess(CATALOGUE['docker.containers.inspect'], { container: 'a' })).toBe('read');
    expect(requiredAccess(CATALOGUE['config.update'], { metrics_interval: 5 })).toBe('operate');
  });

  it.each([true, 'true', 1, null, {}])('is that of a param that needs more: %j', (value) => {
    const params = { container: 'a', reveal_env: value };
    expect(requiredAccess(CATALOGUE['docker.containers.inspect'], params)).toBe('admin');
  });

  it('does not count a param that is left out or false', () => {
    for (const reveal_env of [undefined, false]) {
      expect(requiredAccess(CATALOGUE['docker.images.inspect'], { reveal_env })).toBe('read');
    }
  });

  it.each(['access', 'server_url', 'server_fingerprint'])(
    'is admin for what gives an agent another hub or ceiling: %s',
    (name) => {
      expect(requiredAccess(CATALOGUE['config.update'], { [name]: 'x' })).toBe('admin');
    },
  );
});
