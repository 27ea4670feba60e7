import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os, { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { runShell, type ShellCommand } from './host-shell.ts';
import { findShellPlace, type ShellPlace, type ShellPlaceOptions } from './shell-place.ts';

const SERVER = 'stand-in-server';
const isRoot = process.getuid?.() === 0 && process.platform === 'linux';

function find(options: Partial<ShellPlaceOptions> = {}): Promise<ShellPlace> {
  return findShellPlace({
    isInContainer: true,
    access: 'admin',
    environment: { PATH: '/agents/own' },
    target: process.pid,
    hostRoot: '/no/such/root',
    ...options,
  });
}

function run(place: ShellPlace, command: string, options: Partial<ShellCommand> = {}) {
  const { entrance, environment } = place;
  const { signal } = new AbortController();
  return runShell({
    command,
    cwd: '/',
    entrance,
    environment,
    timeoutMs: 20_000,
    signal,
    ...options,
  });
}

describe('where commands run', () => {
  it('is the server, as the agent sees it, outside a container', async () => {
    const place = await find({ isInContainer: false });
    expect(place).toEqual({ scope: 'host', entrance: [], environment: { PATH: '/agents/own' } });
  });

  it('is the container where the server’s process 1 is not to be seen', async () => {
    expect(await find()).toMatchObject({ scope: 'container', entrance: [] });
    expect(await find({ target: 2 ** 22 })).toHaveProperty('scope', 'container');
  });

  it('is not looked for without the access that commands need', async () => {
    const place = await find({ access: 'operate', hostRoot: '/' });
    expect(place).toMatchObject({ scope: 'container', entrance: [] });
  });

  it.runIf(isRoot)('is the container where the server’s files hold no shell', async () => {
    expect(await find({ hostRoot: '/proc' })).toHaveProperty('scope', 'container');
  });

  it.runIf(isRoot)('is a view of the server’s files where they are mounted', async () => {
    const place = await find({ hostRoot: '/' });
    expect(place.scope).toBe('chroot');
    const { stdout } = await run(place, 'pwd; echo $HOME; echo $PATH', { cwd: '/etc' });
    expect(stdout).toMatch(/^\/etc\n\/root\n\/usr\/local\/sbin:/);
  });
});

describe.runIf(isRoot)('commands in the namespaces of the server', () => {
  let server: ChildProcess;
  let place: ShellPlace;
  let directory = '';

  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'tomo-place-'));
    // Its /mnt tells its mounts from ours.
    const boot = `hostname ${SERVER} && mount -t tmpfs none /mnt && mkdir /mnt/server && echo up && exec sleep 1000`;
    server = spawn('unshare', ['--mount', '--uts', '--ipc', '--net', 'sh', '-c', boot]);
    if (server.stdout !== null) await once(server.stdout, 'data');
    place = await find({ target: server.pid ?? 0 });
  });
  afterAll(async () => {
    server.kill('SIGKILL');
    await once(server, 'exit');
    await rm(directory, { recursive: true });
  });

  /** The processes of a command that ignores signals and leaves children in groups of their own. */
  async function pids(name: string): Promise<number[]> {
    const files = [1, 2].map((number) => path.join(directory, `${name}.${number}`));
    await vi.waitUntil(() => files.every((file) => existsSync(file)), 10_000);
    return await vi.waitUntil(() => {
      const found = files.map((file) => Number(readFileSync(file, 'utf8')));
      return found.every((pid) => pid > 0) && found;
    }, 10_000);
  }

  function stubborn(name: string): string {
    const file = path.join(directory, name);
    const loop = 'trap "" TERM HUP INT; while :; do sleep 0.1; done';
    return `echo $$ > ${file}.1; timeout 100 sh -c 'echo $$ > ${file}.2; ${loop}' & ${loop}`;
  }

  function isAlive(pid: number): boolean {
    const file = `/proc/${pid}/stat`;
    return existsSync(file) && !readFileSync(file, 'utf8').includes(') Z ');
  }

  it('run on the server, in its directory, with nothing of the agent’s environment', async () => {
    expect(place.scope).toBe('host');
    const { stdout } = await run(place, 'hostname; pwd; env', { cwd: '/mnt/server' });
    const [name, cwd, ...environment] = stdout.trim().split('\n');
    expect([name, cwd]).toEqual([SERVER, '/mnt/server']);
    expect(name).not.toBe(os.hostname());
    // What shells set themselves.
    const shells = ['_', 'PWD', 'OLDPWD'];
    const names = environment.map((line) => line.replace(/=.*/, ''));
    expect(new Set(names.filter((line) => !shells.includes(line)))).toEqual(
      new Set(['HOME', 'LOGNAME', 'PATH', 'USER']),
    );
    expect(existsSync('/mnt/server')).toBe(false);
  });

  it('are refused in a directory that only the agent has', async () => {
    const refused = run(place, 'true', { cwd: `${directory}/nowhere` });
    await expect(refused).rejects.toMatchObject({ name: 'EXEC_FAILED' });
  });

  it('take a PATH of the caller', async () => {
    const result = await run(place, 'echo $PATH', { environment: { PATH: '/opt/mine' } });
    expect(result).toMatchObject({ stdout: '/opt/mine\n', exit_code: 0 });
  });

  it('tell the signal that ended them', async () => {
    expect(await run(place, 'kill -TERM $$')).toMatchObject({ exit_code: 143, signal: 'SIGTERM' });
  });

  it('leave no process behind at their time limit', async () => {
    const running = run(place, stubborn('timed-out'), { timeoutMs: 1_500 });
    const processes = await pids('timed-out');
    expect(await running).toMatchObject({ exit_code: -1, timed_out: true });
    await vi.waitUntil(() => !processes.some(isAlive), 10_000);
  });

  it('leave no process behind when they are cancelled', async () => {
    const controller = new AbortController();
    const running = run(place, stubborn('cancelled'), { signal: controller.signal });
    const refused = expect(running).rejects.toHaveProperty('name', 'COMMAND_CANCELLED');
    const processes = await pids('cancelled');
    controller.abort();
    await refused;
    await vi.waitUntil(() => !processes.some(isAlive), 10_000);
  });

  it('fail once the server is gone', async () => {
    const entrance = place.entrance.map((word) => (word === String(server.pid) ? '4194304' : word));
    const refused = run({ ...place, entrance }, 'true');
    await expect(refused).rejects.toMatchObject({ name: 'EXEC_FAILED' });
  });
});
