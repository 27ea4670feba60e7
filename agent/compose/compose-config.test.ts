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

async function read(script: string) {
  const words = '[ "$*" = "compose version --short" ] && exec echo 2.24.5';
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

/** How compose 2 writes it; the first generation is tried for real. */
const SECOND = `name: app
services:
  web:
    environment:
      A: "yes"
      B: |-
        two
        lines
      EMPTY: null
    image: nginx
    ports:
      - mode: ingress
        published: "8080"
`;

describe('the effective file', () => {
  it('is read as compose of the second generation writes it', async () => {
    expect(await read(`cat << 'END'\n${SECOND}END`)).toEqual({
      name: 'app',
      services: {
        web: {
          environment: { A: 'yes', B: 'two\nlines', EMPTY: null },
          image: 'nginx',
          ports: [{ mode: 'ingress', published: '8080' }],
        },
      },
    });
  });

  it.each([
    ['is no YAML', 'echo "{ a: ["'],
    ['is no object', 'echo text'],
    [
      'grows beyond measure when it is read',
      'printf \'a0: &a0 [x,x,x,x,x,x,x,x,x]\\n\'; for i in 1 2 3 4 5 6 7 8 9; do j=$((i-1)); printf "a$i: &a$i [*a$j,*a$j,*a$j,*a$j,*a$j,*a$j,*a$j,*a$j,*a$j]\\n"; done',
    ],
  ])('is refused when it %s', async (_what, script) => {
    await expect(read(script)).rejects.toHaveProperty('name', 'COMPOSE_FAILED');
  });

  it('is refused when it is longer than an answer may be', async () => {
    await expect(read('yes "a: b" | head -c 3000000')).rejects.toMatchObject({
      name: 'RESULT_TOO_LARGE',
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
