import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programOutput, runProgram } from './support/run-program.ts';
import { requireServer, type StandInServer, standInServer } from './support/stand-in-server.ts';
import { importWorkloadImage, WORKLOAD_IMAGE } from './support/workload-image.ts';

const NAME = 'stand-in';

describe.skipIf(requireServer() === undefined)('a stand-in server', () => {
  let server: StandInServer;

  beforeAll(async () => {
    server = await standInServer(NAME);
    await importWorkloadImage(server.dockerHost);
  });
  afterAll(() => server.stop());

  it('has a hostname and processes of its own', async () => {
    expect(await server.run('hostname')).toEqual({ stdout: `${NAME}\n`, stderr: '', exitCode: 0 });
    expect(hostname()).not.toBe(NAME);
    expect((await server.run('ps -o args= -p 1')).stdout).toContain('init.sh');
  });

  it('is entered through process 1 by a container with the rights for it', async () => {
    const rights = '--pid host --network host --cap-add SYS_ADMIN --cap-add SYS_PTRACE';
    const enter = 'nsenter -t 1 -m -u -i -n -p hostname';
    const { stdout } = await server.run(
      `docker run --rm ${rights} -v /:/host:ro ${WORKLOAD_IMAGE} ${enter}`,
    );
    expect(stdout).toBe(`${NAME}\n`);
  });

  it('lets in who has its key, by name and by address', async () => {
    for (const target of [server.name, server.address]) {
      const there = await runProgram('ssh', '-F', server.sshConfig, target, 'hostname; whoami');
      expect(there).toBe(`${NAME}\nroot\n`);
    }
  });

  it('reaps what its processes leave behind', async () => {
    const orphan = '(sleep 0.1 &); sleep 0.5; ps -o stat= --ppid 1';
    expect((await server.run(orphan)).stdout).not.toContain('Z');
  });

  it('has containers that come back with their engine', async () => {
    await server.run(
      `docker run -d --restart always --stop-timeout 1 --name back ${WORKLOAD_IMAGE}`,
    );
    await server.killEngine();
    expect((await server.run('docker ps')).exitCode).not.toBe(0);
    await server.startEngine();
    const state = await server.run('docker inspect -f {{.State.Status}} back');
    expect(state.stdout).toBe('running\n');
  });

  it('can be without Docker', async () => {
    await using bare = disposable(await standInServer('bare', { docker: false }));
    expect((await bare.run('docker ps')).exitCode).toBe(127);
    expect((await bare.run('command -v docker dockerd')).exitCode).not.toBe(0);
    expect(await runProgram('ssh', '-F', bare.sshConfig, 'bare', 'hostname')).toBe('bare\n');
  });

  it('makes place for the next of its name and leaves nothing behind', async () => {
    const before = await standInServer('again');
    await using after = disposable(await standInServer('again'));
    expect((await before.run('true')).exitCode).not.toBe(0);
    expect((await after.run('hostname')).stdout).toBe('again\n');
    await after.stop();
    const links = await programOutput('ip', ['-br', 'addr', 'show', 'to', after.hubAddress]);
    expect(links.stdout).toBe('');
    expect(await runProgram('ip', 'netns', 'list')).not.toContain('tomo-again');
    expect(existsSync(after.sshKey)).toBe(false);
  });
});

function disposable(server: StandInServer): StandInServer & AsyncDisposable {
  return { ...server, [Symbol.asyncDispose]: () => server.stop() };
}
