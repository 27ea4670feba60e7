import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { metricsSchema } from '../protocol/telemetry.ts';
import { makeAgentImage } from './support/agent-image.ts';
import { requireBaseImage } from './support/base-image.ts';
import { ContainedAgent } from './support/contained-agent.ts';
import { requireDocker } from './support/docker-engine.ts';
import type { HubSocket } from './support/hub-stand-in.ts';
import { requireServer, type StandInServer, standInServer } from './support/stand-in-server.ts';

const host = requireDocker();
const isPossible = host !== undefined && requireBaseImage() === true;
const { CODE } = ContainedAgent;

describe.runIf(isPossible)('an agent in its container', () => {
  let image = '';
  let agent: ContainedAgent;

  beforeAll(async () => {
    image = await makeAgentImage(host ?? '');
  });
  beforeEach(async () => {
    agent = await ContainedAgent.create(host ?? '', image);
  });
  afterEach(async () => {
    await agent[Symbol.asyncDispose]();
  });

  async function connected(...more: string[]): Promise<HubSocket> {
    await agent.run(...more);
    return (await agent.hubs.welcome()).hub;
  }

  const refusal = (name: string) => ({ error: { data: { name } } });

  it('refuses to harm itself and its volume, by whatever name', async () => {
    const hub = await connected();
    const id = await agent.inspect('{{.Id}}');
    const { name, volume } = agent;
    for (const container of [name, id, id.slice(0, 5)]) {
      for (const verb of ['stop', 'remove', 'pause', 'kill', 'restart']) {
        const answer = await hub.call(`${verb}-${container}`, `docker.containers.${verb}`, {
          container,
        });
        expect(answer).toMatchObject(refusal('SELF_PROTECTED'));
      }
    }
    const renamed = { container: name, name: 'other' };
    expect(await hub.call('r', 'docker.containers.rename', renamed)).toMatchObject(
      refusal('SELF_PROTECTED'),
    );
    const left = { network: 'host', container: name };
    expect(await hub.call('n', 'docker.networks.disconnect', left)).toMatchObject(
      refusal('SELF_PROTECTED'),
    );
    expect(
      await hub.call('v', 'docker.volumes.remove', { name: volume, force: true }),
    ).toMatchObject(refusal('SELF_PROTECTED'));
    // What a prune would meet: the engine itself keeps a volume that is in use.
    await expect(agent.docker('volume', 'rm', '-f', volume)).rejects.toThrow('in use');
    expect(await agent.left()).toEqual([name, volume]);
    expect(
      await hub.call('e', 'docker.containers.exec', { container: name, command: 'echo in' }),
    ).toMatchObject({ result: { stdout: 'in\n' } });
  });

  it('measures the server it runs on, not its container', async () => {
    const hub = await connected();
    const [size = 0, used = 0] =
      execFileSync('df', ['-B1', '--output=size,used', '/'], {
        encoding: 'utf8',
      })
        .split('\n', 2)[1]
        ?.trim()
        .split(/\s+/)
        .map(Number) ?? [];
    const metrics = metricsSchema.parse((await hub.call('m', 'metrics.get'))['result']);
    const root = metrics.disks?.find(({ mount }) => mount === '/');
    expect(root?.total).toBe(size);
    // Other tests write meanwhile.
    expect(Math.abs((root?.used ?? 0) - used) / size).toBeLessThan(0.01);
    for (const { mount } of metrics.disks ?? []) expect(mount).not.toMatch(/^\/(?:host|etc|data)/);
    const interfaces = readFileSync('/proc/1/net/dev', 'utf8');
    for (const network of metrics.network ?? []) expect(interfaces).toContain(network.interface);
    const names = metrics.container_usage?.map(({ name }) => name);
    expect(names).toContain(agent.name);
  });

  it('is healthy exactly while it is authenticated', async () => {
    const hub = await connected();
    const test = ['exec', agent.name, 'test', '-e', '/tmp/tomo-agent.connected'];
    const isHealthy = () =>
      agent.docker(...test).then(
        () => true,
        () => false,
      );
    await agent.until('healthy', isHealthy);
    hub.socket.close(4003);
    await agent.until('unhealthy', async () => !(await isHealthy()));
  });

  it('restarts when it is told to, after its answer, and comes back with its token', async () => {
    const hub = await connected();
    const started = await agent.inspect('{{.State.StartedAt}}');
    expect(await hub.call('a', 'agent.restart')).toMatchObject({
      result: { status: 'restarting' },
    });
    expect(await hub.closed).toBe(1001);
    const { hello } = await agent.hubs.welcome();
    expect(hello).toMatchObject({ type: 'authenticate', token: `token-of-${CODE}` });
    expect(await agent.inspect('{{.State.StartedAt}}')).not.toBe(started);
  });

  it('stops its container when it is revoked, and stops again when it is started with its spent code', async () => {
    const hub = await connected();
    hub.socket.close(4002);
    const isStopped = async () => (await agent.inspect('{{.State.Status}}')) === 'exited';
    await agent.until('stopped', isStopped);
    expect(await agent.inspect('{{.State.ExitCode}} {{.RestartCount}}')).toBe('0 0');

    await agent.docker('start', agent.name);
    const again = await agent.hubs.accept();
    expect(await again.next()).toMatchObject({ type: 'register', code: CODE });
    again.refuse('CODE_USED', 4001);
    await agent.until('stopped again', isStopped);
    expect(await agent.inspect('{{.RestartCount}}')).toBe('0');
  });

  it('stops its container without complaint when it is retired', async () => {
    const hub = await connected();
    hub.request('a', 'system.exec', { command: 'sleep 0.5; echo done' });
    hub.send({ jsonrpc: '2.0', method: '$/retire' });
    expect(await hub.answer('a')).toMatchObject({ result: { stdout: 'done\n' } });
    expect(await hub.closed).toBe(1000);
    await agent.until(
      'stopped',
      async () => (await agent.inspect('{{.State.Status}}')) === 'exited',
    );
    expect(await agent.logs()).not.toMatch(/"level":[45]0/);
  });

  it('stays idle when it is revoked without an engine to stop it', async () => {
    const hub = await connected('-e', 'DOCKER_HOST=unix:///no/such/socket');
    hub.socket.close(4002);
    await agent.until('idle', async () => (await agent.logs()).includes('idle from now on'));
    expect(await agent.inspect('{{.State.Status}} {{.RestartCount}}')).toBe('running 0');
  });

  it('is uninstalled by a helper, of which nothing is left either', async () => {
    const hub = await connected();
    const answer = await hub.call('a', 'agent.uninstall');
    const { name, volume } = agent;
    expect(answer).toMatchObject({ result: { status: 'uninstalling', container: name, volume } });
    const helper = (await agent.left()).find((left) => left.includes('uninstall')) ?? '';
    expect(helper).toMatch(/^tomo-agent-uninstall-/);
    expect(await hub.call('h', 'docker.containers.kill', { container: helper })).toMatchObject(
      refusal('SELF_PROTECTED'),
    );
    await hub.closed;
    await agent.until('nothing left', async () => (await agent.left()).length === 0);
  });

  it('is not uninstalled when it was not made by install_agent', async () => {
    const hub = await connected('--label', 'tomo.agent=');
    expect(await hub.call('a', 'agent.uninstall')).toMatchObject(refusal('NOT_CONTAINERISED'));
    expect(await hub.call('b', 'agent.restart')).toMatchObject(refusal('NOT_CONTAINERISED'));
    expect(await agent.left()).toEqual([agent.name, agent.volume]);
  });

  it('without the server’s processes, sees its files read-only and says so', async () => {
    const hub = await connected();
    expect(await hub.call('i', 'system.info')).toMatchObject({ result: { exec_scope: 'chroot' } });
    const command = 'test -d /proc; touch /etc/x 2>/dev/null || echo read-only; env';
    const answer = await hub.call('e', 'system.exec', { command });
    expect(answer).toMatchObject({ result: { scope: 'chroot' } });
    const text = JSON.stringify(answer);
    expect(text).toContain('read-only');
    expect(text).not.toMatch(new RegExp(`${CODE}|NODE_ENV|SERVER_URL`));
    const checked = await hub.call('p', 'system.preflight', { ports: [1], hosts: ['localhost'] });
    const { checks } = checked['result'] as { checks: { name: string; ok: boolean }[] };
    const verdicts = Object.fromEntries(checks.map(({ name, ok }) => [name, ok]));
    expect(verdicts).toMatchObject({
      engine: true,
      memory: true,
      'port 1': true,
      'dns localhost': true,
      host_shell: false,
      data_dir: true,
    });
  });

  it('does not look for a shell without the access that commands need', async () => {
    const hub = await connected('-e', 'ACCESS=operate');
    expect(await hub.call('i', 'system.info')).toMatchObject({
      result: { exec_scope: 'container', access: 'operate' },
    });
  });
});

describe.runIf(isPossible && requireServer() === true)('an agent that may enter the server', () => {
  const GRANTED = ['--pid', 'host', '--cap-add', 'SYS_ADMIN', '--cap-add', 'SYS_PTRACE'];
  let server: StandInServer;
  let agent: ContainedAgent;
  let hub: HubSocket;

  beforeAll(async () => {
    const image = await makeAgentImage(host ?? '');
    server = await standInServer('contained-agent');
    await server.loadImage(image);
    agent = await ContainedAgent.create(server.dockerHost, image, server.hubAddress);
    await agent.run(...GRANTED);
    ({ hub } = await agent.hubs.welcome());
  });
  afterAll(async () => {
    await agent[Symbol.asyncDispose]();
    await server.stop();
  });

  it('runs commands on the server, with the server’s environment', async () => {
    expect(await hub.call('i', 'system.info')).toMatchObject({ result: { exec_scope: 'host' } });
    const command = 'hostname; pwd; cat /proc/1/comm; test -e /app || echo outside; env';
    const answer = await hub.call('e', 'system.exec', { command, cwd: '/run' });
    const init = await server.run('cat /proc/1/comm');
    expect(answer).toMatchObject({ result: { scope: 'host', exit_code: 0 } });
    const { stdout } = answer['result'] as { stdout: string };
    expect(stdout.split('\n').slice(0, 4)).toEqual([
      server.name,
      '/run',
      init.stdout.trim(),
      'outside',
    ]);
    expect(stdout).not.toMatch(new RegExp(`${CODE}|NODE_ENV|DATA_DIR`));
  });

  const stubborn = (mark: string) => {
    const loop = 'trap "" TERM HUP INT; while :; do sleep 0.1; done';
    return `echo up > /run/${mark}; timeout 100 sh -c '${loop} # ${mark}' & ${loop} # ${mark}`;
  };
  const survivors = async (mark: string) =>
    (await server.run(`ps -eo args | grep '${mark}' | grep -v grep; true`)).stdout;
  const untilUp = (mark: string) =>
    agent.until('up', async () => (await server.run(`test -e /run/${mark}`)).exitCode === 0);

  it('leaves no process on the server when a command is out of time', async () => {
    const params = { command: stubborn('mark-timeout'), timeout: 2 };
    hub.request('t', 'system.exec', params);
    await untilUp('mark-timeout');
    expect(await survivors('mark-timeout')).toContain('mark-timeout');
    expect(await hub.answer('t')).toMatchObject({ result: { timed_out: true, exit_code: -1 } });
    await agent.until('gone', async () => (await survivors('mark-timeout')) === '');
  });

  it('leaves no process on the server when a command is cancelled', async () => {
    hub.request('c', 'system.exec', { command: stubborn('mark-cancel') });
    await untilUp('mark-cancel');
    hub.send({ jsonrpc: '2.0', method: '$/cancelRequest', params: { id: 'c' } });
    expect(await hub.answer('c')).toMatchObject({ error: { data: { name: 'COMMAND_CANCELLED' } } });
    await agent.until('gone', async () => (await survivors('mark-cancel')) === '');
  });

  it('passes the checks that are about its rights, and sees the server’s ports', async () => {
    const params = { ports: [22, 1], hosts: ['localhost'] };
    const answer = await hub.call('p', 'system.preflight', params);
    const { checks } = answer['result'] as { checks: { name: string; ok: boolean }[] };
    expect(Object.fromEntries(checks.map(({ name, ok }) => [name, ok]))).toMatchObject({
      engine: true,
      'port 22': false,
      'port 1': true,
      host_shell: true,
      data_dir: true,
    });
  });

  it('keeps its hands off itself with the server’s processes in sight, too', async () => {
    const answer = await hub.call('s', 'docker.containers.stop', { container: agent.name });
    expect(answer).toMatchObject({ error: { data: { name: 'SELF_PROTECTED' } } });
  });
});
