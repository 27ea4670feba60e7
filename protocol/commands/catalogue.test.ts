import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { CATALOGUE, familyOf, findCommand, isMethod, methodNames } from './catalogue.ts';
import type { CommandEntry } from './define-command.ts';

/** The methods of the first deployment; `agent.update` belongs to the family of updates. */
const SEED_METHODS = [
  ...['list', 'run', 'start', 'stop', 'remove', 'restart', 'logs', 'inspect', 'stats'].map(
    (name) => `docker.containers.${name}`,
  ),
  ...['list', 'pull', 'remove', 'prune'].map((name) => `docker.images.${name}`),
  ...['list', 'create', 'remove'].map((name) => `docker.volumes.${name}`),
  ...['list', 'create', 'remove'].map((name) => `docker.networks.${name}`),
  'system.info',
  'system.exec',
  'system.get_metrics',
  'metrics.get',
  'agent.ping',
  'config.update',
];

const ENTRIES: [string, CommandEntry][] = Object.entries(CATALOGUE);

describe.each(ENTRIES)('%s', (method, entry) => {
  const params = z.toJSONSchema(entry.params, { io: 'input' });

  it('has params that JSON Schema can express: an object without others', () => {
    expect(params).toMatchObject({ type: 'object', additionalProperties: false });
  });

  it('has a result that JSON Schema can express', () => {
    expect(z.toJSONSchema(entry.result)).toHaveProperty('type');
  });

  it('destroys nothing if it is `read`, and may be repeated', () => {
    expect(entry.access === 'read' && entry.destructive).toBe(false);
    expect(entry.access === 'read' && !entry.idempotent).toBe(false);
  });

  it('keeps secret, and derives its time limit from, only params that it has', () => {
    const names = Object.keys(params.properties ?? {});
    const { timeoutParam } = entry;
    const used = [...entry.secrets, ...(timeoutParam === undefined ? [] : [timeoutParam.name])];
    expect(names).toEqual(expect.arrayContaining(used));
  });

  it('keeps environment variables secret', () => {
    const names = Object.keys(params.properties ?? {});
    expect(names.includes('env')).toBe(entry.secrets.includes('env'));
  });

  it('has a time limit that a timer can hold', () => {
    expect(entry.timeoutMs).toBeGreaterThan(0);
    expect(entry.timeoutMs).toBeLessThanOrEqual(24 * 3_600_000);
  });

  it('says in one sentence what it does', () => {
    expect(entry.summary).toMatch(/^[A-Z].*\.$/);
  });

  it('has a name of its family and is found by it', () => {
    expect(method).toMatch(/^[a-z]+(\.[a-z_]+)+$/);
    expect(method.startsWith(`${familyOf(method)}.`)).toBe(true);
    expect(findCommand(method)).toBe(entry);
    expect(isMethod(method)).toBe(true);
  });
});

describe.each(ENTRIES)('%s', (_method, entry) => {
  it('asks for more access only for params that it has', () => {
    const { properties = {} } = z.toJSONSchema(entry.params, { io: 'input' });
    expect(Object.keys(properties)).toEqual(expect.arrayContaining(Object.keys(entry.paramAccess)));
  });

  it('hides environments only where a caller of admin access can have them shown', () => {
    const { reveal_env } = entry.paramAccess;
    expect(reveal_env).toBe(entry.environments.length > 0 ? 'admin' : undefined);
  });
});

describe('the catalogue', () => {
  it('has the methods of the first deployment', () => {
    expect(methodNames()).toEqual(expect.arrayContaining(SEED_METHODS));
  });

  it('has no method of a name that only Object has', () => {
    for (const name of ['constructor', 'toString', '__proto__', '']) {
      expect(findCommand(name)).toBeUndefined();
      expect(isMethod(name)).toBe(false);
    }
  });

  it('lets nothing but what the hub asks for itself pass a ceiling', () => {
    const passing = ENTRIES.filter(([, { beyondCeiling }]) => beyondCeiling);
    expect(passing.map(([method]) => method)).toEqual([
      'agent.rotate_token',
      'agent.uninstall',
      'config.update',
    ]);
  });

  it('puts docker.containers.list into the family docker.containers', () => {
    expect(familyOf('docker.containers.list')).toBe('docker.containers');
    expect(familyOf('docker.info')).toBe('docker');
  });
});
