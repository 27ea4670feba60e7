import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ShellPlace } from '../shell/shell-place.ts';
import { Compose, type ComposeProject } from './compose-command.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'tomo-compose-'));
  mkdirSync(path.join(directory, 'bin'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

const signal = new AbortController().signal;

/** A program that gives the recorded answer to the question for its version, and notes other calls. */
function install(name: 'docker' | 'docker-compose', version: string, body = ''): void {
  const words = name === 'docker' ? 'compose version --short' : 'version --short';
  const script = `#!/bin/sh
if [ "$*" = "${words}" ]; then echo "${version}"; exit; fi
printf '%s\\n' ${name} "$@" > ${directory}/said
${body}
`;
  const file = path.join(directory, 'bin', name);
  writeFileSync(file, script);
  chmodSync(file, 0o755);
}

/** docker without its plug-in: an old one, and one of version 28. */
function installWithoutPlugin(words: string, code: number): void {
  const file = path.join(directory, 'bin', 'docker');
  writeFileSync(file, `#!/bin/sh\necho "${words}" >&2\nexit ${code}\n`);
  chmodSync(file, 0o755);
}

function find(
  project: Partial<ComposeProject> = {},
  scope: ShellPlace['scope'] = 'host',
  timeoutMs = 20_000,
) {
  const environment = { PATH: `${path.join(directory, 'bin')}:/usr/bin:/bin` };
  return Compose.find({
    place: { scope, entrance: [], environment },
    project: { project_directory: directory, ...project },
    timeoutMs,
    signal,
  });
}

function said(): string[] {
  return readFileSync(path.join(directory, 'said'), 'utf8').trimEnd().split('\n');
}

describe('the server’s compose', () => {
  it.each([
    ['docker', '2.24.5', ['docker', 'compose']],
    ['docker', 'v2.3.3', ['docker', 'compose']],
    ['docker', '5.0.0-desktop.1', ['docker', 'compose']],
    ['docker-compose', '1.29.2', ['docker-compose']],
    ['docker-compose', 'v2.17.2', ['docker-compose']],
  ] as const)('is found as %s of version %s', async (name, version, words) => {
    if (name === 'docker-compose') installWithoutPlugin('unknown flag: --short', 125);
    install(name, version);
    const compose = await find();
    expect(compose.version).toBe(version.replace('v', ''));
    expect(compose.isFirst).toBe(version.startsWith('1.'));
    await compose.run(['ps', '--quiet']);
    expect(said()).toEqual([...words, 'ps', '--quiet']);
  });

  it('is the plug-in where both are installed', async () => {
    install('docker', '2.24.5');
    install('docker-compose', '1.29.2');
    expect(await find()).toMatchObject({ version: '2.24.5', isFirst: false });
  });
});

describe('a server without compose', () => {
  // The machine's own docker-compose must not be found.
  const findNothing = async (scope: ShellPlace['scope']) => {
    installWithoutPlugin('docker: unknown command: docker compose', 1);
    const file = path.join(directory, 'bin', 'docker-compose');
    writeFileSync(file, '#!/bin/sh\nexit 127\n');
    chmodSync(file, 0o755);
    return await find({}, scope);
  };

  it('is told of with what to install', async () => {
    await expect(findNothing('host')).rejects.toMatchObject({
      name: 'EXEC_FAILED',
      message: expect.stringContaining('docker-compose-plugin'),
    });
  });

  it('is told of with how the agent gets to its server, if it is in a container', async () => {
    await expect(findNothing('container')).rejects.toMatchObject({
      name: 'EXEC_FAILED',
      message: expect.stringContaining('install_agent'),
    });
  });
});

describe('a command of compose', () => {
  it('gets names as they are, and never as flags', async () => {
    install('docker', '2.24.5');
    const absolute = path.join(directory, 'd.yml');
    for (const file of ["a'b $(id) ; c.yml", '-f', 'd.yml']) {
      writeFileSync(path.join(directory, file), '');
    }
    const compose = await find({ project: '-x', file: ["a'b $(id) ; c.yml", '-f', absolute] });
    await compose.run(['up', '--detach', 'web']);
    expect(said()).toEqual([
      'docker',
      'compose',
      '--project-name=-x',
      "--file=./a'b $(id) ; c.yml",
      '--file=./-f',
      `--file=${absolute}`,
      'up',
      '--detach',
      'web',
    ]);
  });

  it('fails with the end of what compose said', async () => {
    install('docker', '2.24.5', 'yes error | head -c 100000 >&2; echo last words >&2; exit 14');
    const compose = await find();
    await expect(compose.run(['up'])).rejects.toMatchObject({
      name: 'COMPOSE_FAILED',
      message: expect.stringMatching(/^compose up ended with 14: .{0,1600}last words$/s),
      facts: { exit_code: 14 },
    });
  });

  it('fails without words where compose has none', async () => {
    install('docker', '2.24.5', 'exit 1');
    await expect((await find()).run(['up'])).rejects.toMatchObject({ name: 'COMPOSE_FAILED' });
  });

  it.each(['absent.yml', '/dev/zero', 'huge.yml', '/', 'https://github.com/a/b.git', '-'])(
    'is not begun with %s for a file',
    async (file) => {
      install('docker', '2.24.5');
      const usual = path.join(directory, 'usual.yml');
      writeFileSync(usual, '');
      const huge = await open(path.join(directory, 'huge.yml'), 'w');
      await huge.truncate(5 * 1024 * 1024);
      await huge.close();
      await expect(find({ file: [usual, file] })).rejects.toMatchObject({
        name: 'NOT_FOUND',
        message: expect.stringContaining(file),
      });
    },
  );

  it('says when its directory is not there', async () => {
    install('docker', '2.24.5');
    await expect(find({ project_directory: `${directory}/absent` })).rejects.toMatchObject({
      name: 'EXEC_FAILED',
      message: expect.stringContaining('absent'),
    });
  });

  it('is killed at the time limit, which all commands share', async () => {
    install('docker', '2.24.5', 'sleep 100');
    const compose = await find({}, 'host', 2_000);
    for (const verb of ['pull', 'up']) {
      await expect(compose.run([verb])).rejects.toMatchObject({
        name: 'COMMAND_TIMED_OUT',
        message: expect.stringContaining(verb),
      });
    }
    expect(compose.leftMs).toBe(0);
  });

  it('is killed when it is cancelled', async () => {
    const running = path.join(directory, 'running');
    install('docker', '2.24.5', `mkfifo ${running}; read line < ${running}`);
    const controller = new AbortController();
    const compose = await Compose.find({
      place: {
        scope: 'host',
        entrance: [],
        environment: { PATH: `${directory}/bin:/usr/bin:/bin` },
      },
      project: { project_directory: directory },
      timeoutMs: 20_000,
      signal: controller.signal,
    });
    const result = compose.run(['pull']);
    controller.abort();
    await expect(result).rejects.toHaveProperty('name', 'COMMAND_CANCELLED');
  });
});
