import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TomoError } from '../../protocol/errors.ts';
import { Compose } from './compose-command.ts';
import { readConfig, withoutWords } from './compose-config.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'tomo-config-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

/** The effective file of a compose of this version that writes it as the script does, in the format it is asked for. */
async function read(script: string, version = '2.24.5') {
  const words = [
    `[ "$*" = "compose version --short" ] && exec echo ${version}`,
    `[ "$*" = "compose config${version.startsWith('1.') ? '' : ' --format json'}" ] || exit 9`,
  ].join('\n');
  const file = path.join(directory, 'docker');
  await writeFile(file, `#!/bin/sh\n${words}\n${script}\n`, { mode: 0o755 });
  const environment = { PATH: `${directory}:/usr/bin:/bin` };
  const compose = await Compose.find({
    place: { scope: 'host', entrance: [], environment },
    project: { project_directory: directory },
    timeoutMs: 20_000,
    signal: new AbortController().signal,
  });
  return await readConfig(compose);
}

const FIRST = '1.29.2';
const YAML = `services:
  web:
    environment:
      A: "yes"
      B: |-
        two
        lines
      EMPTY: null
    image: nginx
version: '3'
`;
const WEB = { environment: { A: 'yes', B: 'two\nlines', EMPTY: null }, image: 'nginx' };

describe('the effective file', () => {
  it('is read as compose of the second generation writes it', async () => {
    const config = { name: 'app', services: { web: { ...WEB, ports: [{ published: '8080' }] } } };
    expect(await read(`cat << 'END'\n${JSON.stringify(config, null, 2)}\nEND`)).toEqual(config);
  });

  it('is read as compose of the first generation writes it', async () => {
    const config = await read(`cat << 'END'\n${YAML}END`, FIRST);
    expect(config).toEqual({ services: { web: WEB }, version: '3' });
  });

  it.each([
    ['is no JSON', 'echo "a: b"', undefined],
    ['is no YAML', 'echo "{ a: ["', FIRST],
    ['is no object', 'echo text', FIRST],
    [
      'grows beyond measure when it is read',
      'printf \'a0: &a0 [x,x,x,x,x,x,x,x,x]\\n\'; for i in 1 2 3 4 5 6 7 8 9; do j=$((i-1)); printf "a$i: &a$i [*a$j,*a$j,*a$j,*a$j,*a$j,*a$j,*a$j,*a$j,*a$j]\\n"; done',
      FIRST,
    ],
  ])('is refused when it %s', async (_what, script, version) => {
    await expect(read(script, version)).rejects.toHaveProperty('name', 'COMPOSE_FAILED');
  });

  it('is refused when it is longer than an answer may be, with what to do', async () => {
    await expect(read('yes "a: b" | head -c 3000000')).rejects.toMatchObject({
      name: 'RESULT_TOO_LARGE',
      message: expect.stringContaining('param file'),
      facts: { limit: 2 * 1024 * 1024 },
    });
  });

  it('is refused when reading it would hold up the agent, with what to do', async () => {
    const services = 'i=0; echo services:; while [ $i -lt 4000 ]; do i=$((i+1));';
    const long = `${services} printf '  service-%s:\\n    image: nginx:latest\\n' $i; done`;
    await expect(read(long, FIRST)).rejects.toMatchObject({
      name: 'RESULT_TOO_LARGE',
      message: expect.stringContaining('version 2'),
      facts: { limit: 128 * 1024 },
    });
  });
});

describe('what compose says of a file', () => {
  it('is kept from those who may not see values, other errors are not', async () => {
    const words = new TomoError('COMPOSE_FAILED', 'invalid value "hunter2"', {
      facts: { exit_code: 15 },
    });
    const hidden = withoutWords(words);
    expect(hidden).toMatchObject({ name: 'COMPOSE_FAILED', facts: { exit_code: 15 } });
    expect(String(hidden)).not.toContain('hunter2');
    expect(String(hidden)).toContain('reveal_env');
    const other = new TomoError('COMMAND_CANCELLED', 'cancelled');
    expect(withoutWords(other)).toBe(other);
    const unforeseen = new RangeError('x');
    expect(withoutWords(unforeseen)).toBe(unforeseen);
  });
});
