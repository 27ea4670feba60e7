import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { runShell, type ShellCommand } from './host-shell.ts';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'tomo-shell-'));
});
afterAll(async () => {
  await rm(directory, { recursive: true });
});

function run(command: string, options: Partial<ShellCommand> = {}) {
  return runShell({
    command,
    cwd: '/',
    environment: { PATH: process.env['PATH'] ?? '' },
    timeoutMs: 20_000,
    signal: new AbortController().signal,
    ...options,
  });
}

function isAlive(pid: number): boolean {
  const file = `/proc/${pid}/stat`;
  return existsSync(file) && !readFileSync(file, 'utf8').includes(') Z ');
}

async function pidIn(name: string): Promise<number> {
  const file = path.join(directory, name);
  const pid = await vi.waitUntil(
    () => existsSync(file) && Number(readFileSync(file, 'utf8')),
    10_000,
  );
  return Number(pid);
}

describe('runShell', () => {
  it('keeps stdout and stderr apart and passes the exit code on', async () => {
    const result = await run('echo out; echo err >&2; exit 3');
    expect(result).toEqual({
      stdout: 'out\n',
      stderr: 'err\n',
      exit_code: 3,
      timed_out: false,
      truncated: false,
    });
  });

  it('runs in the directory and with the environment given, without stdin', async () => {
    const environment = { PATH: process.env['PATH'] ?? '', GREETING: 'hello' };
    const result = await run('pwd; echo $GREETING; cat', { cwd: directory, environment });
    expect(result.stdout).toBe(`${directory}\nhello\n`);
  });

  it('names the signal that ended the shell, with the exit code of shells', async () => {
    const result = await run('kill -TERM $$');
    expect(result).toMatchObject({ exit_code: 143, signal: 'SIGTERM', timed_out: false });
  });

  it.each(['/no/such/directory', '/etc/passwd'])(
    'refuses the working directory %s, and runs nothing elsewhere instead',
    async (cwd) => {
      const file = path.join(directory, 'elsewhere');
      const running = run(`touch ${file}`, { cwd });
      await expect(running).rejects.toMatchObject({ name: 'EXEC_FAILED', facts: { cwd } });
      expect(existsSync(file)).toBe(false);
    },
  );

  it('takes a relative working directory from the root, whatever cd makes of it', async () => {
    const environment = { PATH: process.env['PATH'] ?? '', CDPATH: '/usr', OLDPWD: '/usr' };
    expect(await run('pwd', { cwd: 'tmp', environment })).toHaveProperty('stdout', '/tmp\n');
    await expect(run('pwd', { cwd: '-', environment })).rejects.toHaveProperty(
      'name',
      'EXEC_FAILED',
    );
  });

  it('does not let a command speak for its start', async () => {
    const result = await run('echo no >&3; echo on', {});
    expect(result).toMatchObject({ stdout: 'on\n', exit_code: 0 });
  });

  it.each([
    ['longer than the system takes', 'x'.repeat(1_000_000)],
    ['with a NUL character', 'echo a\0b'],
  ])('refuses a command %s', async (_, command) => {
    await expect(run(command)).rejects.toHaveProperty('name', 'EXEC_FAILED');
  });

  it('runs with an environment in which no program is found', async () => {
    const result = await run('echo on; ls', { environment: { PATH: '/nowhere' } });
    expect(result).toMatchObject({ stdout: 'on\n', exit_code: 127 });
  });

  it.each([
    ['is not there', ['/no/such/program']],
    ['refuses', ['/bin/false']],
    ['dies on the way', ['/bin/sh', '-c', 'kill -9 $$']],
    ['leads to where there is no shell', ['/usr/sbin/chroot', '/proc/self/fd']],
  ])('refuses to run where the way in %s', async (_, entrance) => {
    await expect(run('true', { entrance })).rejects.toHaveProperty('name', 'EXEC_FAILED');
  });

  it('keeps the newest output past its limit, at a whole character', async () => {
    const command = 'i=0; while [ $i -lt 500 ]; do echo "é$i"; i=$((i+1)); done';
    const result = await run(command, { outputMaxBytes: 11 });
    expect(result.stdout).toBe('498\né499\n');
    expect(result.truncated).toBe(true);
  });

  it('takes a large output whole', async () => {
    const result = await run('head -c 800000 /dev/zero | tr "\\0" a; echo end >&2');
    expect(result.stdout).toHaveLength(800_000);
    expect(result).toMatchObject({ stderr: 'end\n', truncated: false });
  });

  it('answers when the shell ends although a background process holds the pipes, which lives on', async () => {
    const pidFile = path.join(directory, 'background');
    const ticks = path.join(directory, 'ticks');
    const loop = `while :; do echo tick; echo x >> ${ticks}; sleep 0.02; done`;
    const result = await run(`(${loop}) & echo $! > ${pidFile}; echo done`);
    expect(result).toMatchObject({ exit_code: 0, timed_out: false });
    expect(result.stdout).toContain('done\n');
    const pid = await pidIn('background');
    // Many writes into the pipe that nobody collects from any more.
    const count = () => readFileSync(ticks, 'utf8').length;
    const before = count();
    await vi.waitUntil(() => count() > before + 20, 10_000);
    expect(isAlive(pid)).toBe(true);
    process.kill(pid, 'SIGKILL');
  });

  it('kills the whole tree at the time limit and keeps the output so far', async () => {
    const file = path.join(directory, 'stubborn');
    const child = `sh -c 'trap "" TERM; echo $$ > ${file}; while :; do sleep 0.1; done'`;
    const result = await run(`echo before; ${child} & wait`, { timeoutMs: 500 });
    expect(result).toEqual({
      stdout: 'before\n',
      stderr: '',
      exit_code: -1,
      signal: 'SIGKILL',
      timed_out: true,
      truncated: false,
    });
    const pid = await pidIn('stubborn');
    await vi.waitUntil(() => !isAlive(pid));
  });

  it('kills what made a process group of its own', async () => {
    const file = path.join(directory, 'own-group');
    const child = `timeout 100 sh -c 'echo $$ > ${file}; sleep 100'`;
    const result = await run(`${child}; true`, { timeoutMs: 500 });
    expect(result.timed_out).toBe(true);
    const pid = await pidIn('own-group');
    await vi.waitUntil(() => !isAlive(pid));
  });

  it('kills the whole tree and fails as cancelled when the call is aborted', async () => {
    const controller = new AbortController();
    const file = path.join(directory, 'aborted');
    const child = `sh -c 'trap "" TERM; echo $$ > ${file}; while :; do sleep 0.1; done'`;
    const running = run(`${child} & wait`, { signal: controller.signal });
    const refused = expect(running).rejects.toHaveProperty('name', 'COMMAND_CANCELLED');
    const pid = await pidIn('aborted');
    controller.abort();
    await refused;
    await vi.waitUntil(() => !isAlive(pid));
  });

  it('kills a command that is aborted while it is being started', async () => {
    const controller = new AbortController();
    const running = run('sleep 100', { signal: controller.signal });
    controller.abort();
    await expect(running).rejects.toHaveProperty('name', 'COMMAND_CANCELLED');
  });

  it('starts nothing when the call is already aborted', async () => {
    const file = path.join(directory, 'never');
    const running = run(`touch ${file}`, { signal: AbortSignal.abort() });
    await expect(running).rejects.toHaveProperty('name', 'COMMAND_CANCELLED');
    expect(existsSync(file)).toBe(false);
  });

  it('leaves a character out that was cut by the time limit', async () => {
    const script = path.join(directory, 'cut.sh');
    await writeFile(script, "printf 'a\\303'; sleep 100\n");
    const result = await run(`sh ${script}`, { timeoutMs: 400 });
    expect(result).toMatchObject({ stdout: 'a', timed_out: true });
  });
});
