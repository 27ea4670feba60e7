import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXEC_OUTPUT_MAX_BYTES } from '../protocol/limits.ts';
import { listeningContext } from './support/command-context.ts';
import { requireDocker } from './support/docker-engine.ts';
import { DockerFixture } from './support/docker-fixture.ts';

const host = requireDocker();

describe.skipIf(host === undefined)('docker.containers.exec on a real engine', () => {
  const docker = new DockerFixture(host ?? '');
  const { call, direct } = docker;
  let box = '';

  beforeAll(async () => {
    box = await docker.run('box');
  });
  afterAll(() => docker.cleanUp());

  const processes = (name: string) => docker.cli('top', name, '-eo', 'pid,args');

  it('keeps stdout, stderr and the exit code apart', async () => {
    const command = 'echo out; echo err >&2; exit 3';
    expect(await call('docker.containers.exec', { container: box, command })).toEqual({
      stdout: 'out\n',
      stderr: 'err\n',
      exit_code: 3,
      timed_out: false,
      truncated: false,
    });
  });

  it('runs as the user, in the directory and with the environment it is given', async () => {
    const { stdout } = await call('docker.containers.exec', {
      container: box,
      command: ['sh', '-c', 'id -un; pwd; echo "$A"'],
      user: 'app',
      workdir: '/tmp',
      env: { A: '1 2' },
    });
    expect(stdout).toBe('app\n/tmp\n1 2\n');
  });

  it('keeps the newest output beyond the limit', async () => {
    const command = `yes | head -c ${EXEC_OUTPUT_MAX_BYTES * 3}; echo end; printf ü >&2`;
    const result = await direct('docker.containers.exec', { container: box, command });
    expect(result).toMatchObject({ truncated: true, exit_code: 0, stderr: 'ü' });
    expect(result.stdout).toHaveLength(EXEC_OUTPUT_MAX_BYTES);
    expect(result.stdout.endsWith('y\nend\n')).toBe(true);
  });

  it('waits for a command that has closed its output', async () => {
    const command = 'exec >&- 2>&-; sleep 1; exit 4';
    const result = await call('docker.containers.exec', { container: box, command });
    expect(result.exit_code).toBe(4);
  });

  it('answers although a process in the background holds the output open', async () => {
    const command = 'sleep 77777 & echo done';
    const result = await call('docker.containers.exec', { container: box, command, timeout: 30 });
    expect(result).toMatchObject({ stdout: 'done\n', exit_code: 0, timed_out: false });
    expect(await processes(box)).toContain('sleep 77777');
  });

  it.each([
    ['children and orphans', {}, 'sleep 61001 & (setsid sleep 61002 &); echo got; sleep 61003'],
    ['an unprivileged user', { user: 'app' }, 'sleep 61001 & echo got; sleep 61003'],
    ['those without their environment', {}, 'env -i sleep 61001 & echo got; env -i sleep 61003'],
    ['those that changed user', {}, 'echo got; su app -c "sleep 61001 & sleep 61003"'],
    ['those that ignore signals', {}, 'trap "" TERM INT HUP; echo got; sleep 61001; sleep 61003'],
  ] as const)('kills %s at the time limit', async (_who, params, command) => {
    const request = { container: box, command, timeout: 1, ...params };
    expect(await call('docker.containers.exec', request)).toEqual({
      stdout: 'got\n',
      stderr: '',
      exit_code: -1,
      timed_out: true,
      truncated: false,
      killed: true,
    });
    expect(await processes(box)).not.toContain('sleep 610');
  });

  it('passes its output on while it runs', async () => {
    const controller = new AbortController();
    const { context, written } = listeningContext();
    const request = { container: box, command: 'echo out; echo err >&2; sleep 62002' };
    const { signal } = controller;
    const answer = direct('docker.containers.exec', request, signal, context.output);
    const outcome = expect(answer).rejects.toHaveProperty('name', 'COMMAND_CANCELLED');
    const both = [
      { stream: 'stdout', text: 'out\n' },
      { stream: 'stderr', text: 'err\n' },
    ];
    await expect.poll(() => written).toEqual(expect.arrayContaining(both));
    controller.abort();
    await outcome;
  });

  it('kills them too when the caller cancels', async () => {
    const controller = new AbortController();
    const request = { container: box, command: 'sleep 62001' };
    const answer = direct('docker.containers.exec', request, controller.signal);
    const outcome = expect(answer).rejects.toMatchObject({
      name: 'COMMAND_CANCELLED',
      facts: { killed: true },
    });
    await expect.poll(() => processes(box)).toContain('sleep 62001');
    controller.abort();
    await outcome;
    expect(await processes(box)).not.toContain('sleep 62001');
  });

  it('spares every other process that has shed the mark as well', async () => {
    const command = ['env', '-i', 'sleep', '66001'];
    const owner = await docker.run('owner');
    const guest = docker.name('guest');
    const image = await docker.cli('inspect', '-f', '{{.Config.Image}}', owner);
    await docker.cli('run', '-d', '--name', guest, '--pid', `container:${owner}`, image);
    const mains = () => docker.cli('inspect', '-f', '{{.State.Running}}', owner, guest);

    expect(
      await call('docker.containers.exec', { container: owner, command, timeout: 1 }),
    ).toMatchObject({ timed_out: true, killed: true });
    expect(
      await call('docker.containers.exec', { container: guest, command, timeout: 1 }),
    ).toMatchObject({ timed_out: true, killed: false });
    expect(await mains()).toBe('true\ntrue');

    await docker.cli('exec', '-d', owner, 'sleep', '66002');
    expect(
      await call('docker.containers.exec', { container: owner, command, timeout: 1 }),
    ).toMatchObject({ timed_out: true, killed: false });
    expect(await processes(owner)).toContain('sleep 66002');
  });

  it('says that processes may be left when the container has no shell to kill them with', async () => {
    const bare = await docker.run('bare');
    await docker.cli('exec', bare, 'rm', '/bin/sh');
    const command = ['sleep', '63001'];
    expect(
      await call('docker.containers.exec', { container: bare, command, timeout: 1 }),
    ).toMatchObject({ timed_out: true, killed: false });
    expect(await processes(bare)).toContain('sleep 63001');
  });

  it.each([
    ['was removed', ['rm', '-f']],
    ['was stopped', ['kill']],
  ])('counts the processes of a container that %s meanwhile as gone', async (what, command) => {
    const short = await docker.run(what.replace(' ', '-'));
    const controller = new AbortController();
    const request = { container: short, command: 'sleep 64001' };
    const answer = call('docker.containers.exec', request, controller.signal);
    const outcome = expect(answer).rejects.toMatchObject({});
    await expect.poll(() => processes(short)).toContain('sleep 64001');
    const gone = docker.cli(...command, short);
    controller.abort();
    await Promise.all([outcome, gone]);
  });

  it('says that processes are left in a paused container', async () => {
    const frozen = await docker.run('frozen');
    const controller = new AbortController();
    const request = { container: frozen, command: 'sleep 65001' };
    const answer = call('docker.containers.exec', request, controller.signal);
    const outcome = expect(answer).rejects.toMatchObject({});
    await expect.poll(() => processes(frozen)).toContain('sleep 65001');
    await docker.cli('pause', frozen);
    controller.abort();
    await outcome;
    await docker.cli('unpause', frozen);
  });

  it('says that a program is not there', async () => {
    await expect(
      call('docker.containers.exec', { container: box, command: ['no-such-program'] }),
    ).rejects.toMatchObject({
      name: 'EXEC_FAILED',
      message: expect.stringContaining('no-such-program'),
    });
  });

  it('leaves a program missing within a shell command to the shell', async () => {
    const result = await call('docker.containers.exec', { container: box, command: 'no-such' });
    expect(result).toMatchObject({ exit_code: 127, stderr: 'sh: no-such: not found\n' });
  });

  it('refuses in a container that does not run', async () => {
    const ended = await docker.run('ended', { command: ['true'], restart_policy: { Name: 'no' } });
    await docker.cli('wait', ended);
    await expect(
      call('docker.containers.exec', { container: ended, command: 'true' }),
    ).rejects.toMatchObject({ name: 'CONFLICT' });
  });
});
