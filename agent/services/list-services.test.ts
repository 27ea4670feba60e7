import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CATALOGUE, type ParamsInputOf } from '../../protocol/commands/catalogue.ts';
import { isRoot } from '../../test/support/installed.ts';
import type { ShellPlace } from '../shell/shell-place.ts';
import { listServices } from './list-services.ts';

const { params: schema, result: resultSchema } = CATALOGUE['system.services'];

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'tomo-services-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

/** A server whose /run has this directory, and whose systemctl is this script. */
async function server(
  running: string,
  script = '',
  scope: ShellPlace['scope'] = 'host',
): Promise<ShellPlace> {
  const file = path.join(directory, 'systemctl');
  await writeFile(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const enter = `mount -t tmpfs tmpfs /run && mkdir -p /run/${running} && exec "$@"`;
  return {
    scope,
    entrance: ['unshare', '--mount', 'sh', '-c', enter, 'sh'],
    environment: { PATH: `${directory}:/usr/sbin:/usr/bin:/sbin:/bin` },
  };
}

async function list(place: ShellPlace, params: ParamsInputOf<'system.services'> = {}) {
  const { signal } = new AbortController();
  return resultSchema.parse(await listServices(schema.parse(params), place, signal));
}

function unit(name: string, state: string, load = 'loaded'): string {
  return `Id=${name}.service\\nLoadState=${load}\\nActiveState=${state}\\nSubState=x\\n`;
}

const UNITS = [
  unit('web', 'active'),
  unit('idle', 'inactive'),
  unit('db', 'failed'),
  unit('mentioned', 'inactive', 'not-found'),
].join('\\n');

describe.skipIf(!isRoot())('the services of a server with systemd', () => {
  it('are listed by name, those that failed first, without those that are not there', async () => {
    const found = await list(await server('systemd/system', `printf '${UNITS}'`));
    expect(found).toMatchObject({ scope: 'host', init: 'systemd', known: true, total: 3 });
    expect(found.failed).toEqual(['db']);
    expect(found.services.map(({ name }) => name)).toEqual(['db', 'idle', 'web']);
  });

  it('are chosen by state, and no more than asked for', async () => {
    const place = await server('systemd/system', `printf '${UNITS}'`);
    expect(await list(place, { state: 'active' })).toMatchObject({
      total: 1,
      services: [{ name: 'web' }],
    });
    const first = await list(place, { limit: 1 });
    expect(first.total).toBe(3);
    expect(first.services).toHaveLength(1);
  });

  it.each([
    [undefined, '*.service'],
    ['nginx', 'nginx.service'],
    ['nginx.service', 'nginx.service'],
    ['ssh*', 'ssh*.service'],
    ['getty@tty1', 'getty@tty1.service'],
    ['dev-\\x2d', 'dev-\\x2d.service'],
  ])('are asked for as %s', async (name, pattern) => {
    const said = path.join(directory, 'said');
    const script = `for last; do :; done; printf '%s' "$last" > ${said}; printf '${UNITS}'`;
    await list(await server('systemd/system', script), name === undefined ? {} : { name });
    expect(await readFile(said, 'utf8')).toBe(pattern);
  });

  it('say that there is none of a name, and how to find it', async () => {
    const place = await server('systemd/system', `printf '${unit('x', 'inactive', 'not-found')}'`);
    await expect(list(place, { name: 'x' })).rejects.toMatchObject({
      name: 'NOT_FOUND',
      message: expect.stringContaining('"*x*"'),
    });
    const none = await server('systemd/system', 'true');
    await expect(list(none, { name: 'x*' })).rejects.toHaveProperty('name', 'NOT_FOUND');
  });

  it.each([
    ['echo "Failed to connect to bus" >&2; exit 1', 'Failed to connect to bus'],
    ['exit 3', 'ended with 3'],
    ['head -c 9000000 /dev/zero', 'too much'],
  ])('say that systemctl failed: %s', async (script, words) => {
    await expect(list(await server('systemd/system', script))).rejects.toMatchObject({
      name: 'EXEC_FAILED',
      message: expect.stringContaining(words),
    });
  });
});

describe.skipIf(!isRoot())('the services of a server with another init', () => {
  it('are not known, which the answer says with its name', async () => {
    const found = await list(await server('openrc'));
    expect(found).toMatchObject({ init: 'OpenRC', known: false, services: [] });
    expect(found.note).toContain('OpenRC');
    expect((await list(await server('other'))).init).not.toBe('');
  });

  it('are not looked for inside the agent’s own container', async () => {
    expect(await list(await server('other', '', 'container'))).toMatchObject({
      scope: 'container',
      known: false,
      note: expect.stringContaining('install_agent'),
    });
  });
});

describe('the name of a service', () => {
  it.each(['-H evil', 'a b', '../x', '', 'a\n', '$(id)'])('may not be %j', (name) => {
    expect(schema.safeParse({ name }).success).toBe(false);
  });
});
