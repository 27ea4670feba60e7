import { afterAll, describe, expect, it } from 'vitest';
import { LOG_RESULT_MAX_BYTES } from '../protocol/limits.ts';
import { CollectedLines } from './support/collected-output.ts';
import { requireDocker } from './support/docker-engine.ts';
import { DockerFixture } from './support/docker-fixture.ts';
import { eventually } from './support/hub.ts';
import { LiveCall } from './support/live-call.ts';
import { WORKLOAD_IMAGE } from './support/workload-image.ts';

const host = requireDocker();

describe.skipIf(host === undefined)('logs and stats of containers on a real engine', () => {
  const docker = new DockerFixture(host ?? '');
  const { call, direct } = docker;
  afterAll(() => docker.cleanUp());

  async function runToEnd(suffix: string, script: string): Promise<string> {
    const name = await docker.run(suffix, {
      command: ['sh', '-c', script],
      restart_policy: { Name: 'no' },
    });
    await docker.cli('wait', name);
    return name;
  }

  it('reads both outputs in the order in which they came, with timestamps', async () => {
    const script = 'echo one; sleep 0.2; echo two ü >&2; sleep 0.2; echo three';
    const container = await runToEnd('both', script);
    const { logs = '', truncated } = await call('docker.containers.logs', { container });
    const lines = logs.trimEnd().split('\n');
    expect(lines.map((line) => line.slice(line.indexOf(' ') + 1))).toEqual([
      'one',
      'two ü',
      'three',
    ]);
    expect(truncated).toBeUndefined();
    const stdout = await docker.cli('logs', '--timestamps', container);
    expect([lines[0], lines[2]].join('\n')).toBe(stdout);
  });

  it('reads the last lines only, a hundred unless told otherwise', async () => {
    const container = await runToEnd('many', 'for i in $(seq 200); do echo $i; done');
    const count = async (tail?: number) => {
      const { logs = '' } = await call('docker.containers.logs', { container, tail });
      return logs.split('\n').length - 1;
    };
    expect(await count()).toBe(100);
    expect(await count(3)).toBe(3);
    expect(await count(0)).toBe(0);
  });

  it('reads the log of a terminal, which is not multiplexed', async () => {
    const container = docker.name('terminal');
    await docker.cli('run', '-t', '--name', container, WORKLOAD_IMAGE, 'echo', 'on a terminal ü');
    const { logs = '' } = await call('docker.containers.logs', { container });
    expect(logs.slice(logs.indexOf(' ') + 1)).toBe('on a terminal ü\r\n');
  });

  it('keeps whole lines of the newest, and says that older ones are left out', async () => {
    const line = 'ü'.repeat(500);
    const container = await runToEnd('long', `yes ${line} | head -n 6000; echo the end`);
    const result = await direct('docker.containers.logs', { container, tail: 100_000 });
    const { logs = '' } = result;
    expect(result.truncated).toBe(true);
    expect(Buffer.byteLength(logs)).toBeGreaterThan(LOG_RESULT_MAX_BYTES - 2_000);
    expect(Buffer.byteLength(logs)).toBeLessThanOrEqual(LOG_RESULT_MAX_BYTES);
    expect(logs).toMatch(/ the end\n$/);
    const bodies = new Set(
      logs
        .trimEnd()
        .split('\n')
        .map((text) => text.replace(/^\d{4}-\S+Z /, '')),
    );
    expect(bodies).toEqual(new Set([line, 'the end']));
  });

  it('says in the engine’s words that a log cannot be read', async () => {
    const container = docker.name('unlogged');
    await docker.cli('run', '-d', '--log-driver', 'none', '--name', container, WORKLOAD_IMAGE);
    await expect(call('docker.containers.logs', { container })).rejects.toMatchObject({
      name: 'DOCKER_REFUSED',
      message: expect.stringContaining('logging driver'),
    });
  });

  it('measures a busy container as docker stats does', async () => {
    const container = await docker.run('busy', {
      command: ['sh', '-c', 'while :; do :; done'],
      memory: '32m',
      cpus: 0.5,
    });
    // Where others are busy, too, the two do not always measure the same second.
    const stats = await eventually(async () => {
      const [ours, line] = await Promise.all([
        call('docker.containers.stats', { container }),
        docker.cli('stats', '--no-stream', '--format', '{{json .}}', container),
      ]);
      const { CPUPerc } = JSON.parse(line) as { CPUPerc: string };
      expect(Math.abs(ours.cpu_percent - Number.parseFloat(CPUPerc))).toBeLessThan(20);
      expect(ours.cpu_percent).toBeGreaterThan(20);
      return ours;
    });
    expect(stats.memory_limit).toBe(32 * 1024 * 1024);
    expect(stats.memory_usage).toBeGreaterThan(0);
    expect(stats.network_rx).toBeGreaterThanOrEqual(0);
  });

  it('measures once a second until its time is up', async () => {
    const container = await docker.run('measured', { network: 'none' });
    const output = new CollectedLines();
    const params = { container, stream: true, timeout: 4 };
    const call = new LiveCall(host ?? '', 'docker.containers.stats', params, output);
    const { samples = 0, memory_usage, ended } = await call.ended;
    expect(ended).toBe('timeout');
    expect(samples).toBeGreaterThan(1);
    expect(output.lines).toHaveLength(samples);
    expect(JSON.parse(output.lines.at(-1) ?? '')).toMatchObject({ memory_usage });
  });

  it('answers zeros for a stopped container that it was to measure on and on', async () => {
    const container = await runToEnd('stopped', 'true');
    const params = { container, stream: true, timeout: 1 };
    const output = new CollectedLines();
    const call = new LiveCall(host ?? '', 'docker.containers.stats', params, output);
    expect(await call.ended).toMatchObject({ samples: 0, memory_limit: 0, ended: 'timeout' });
    const missing = { ...params, container: docker.name('missing') };
    const refused = new LiveCall(host ?? '', 'docker.containers.stats', missing, output);
    await expect(refused.ended).rejects.toMatchObject({ name: 'NOT_FOUND' });
  });

  it('counts the network’s bytes', async () => {
    const container = await docker.run('receiving');
    await docker.cli('exec', container, 'ping', '-c', '1', '-w', '3', '172.17.0.1').catch(() => '');
    const stats = await call('docker.containers.stats', { container });
    expect(stats.network_rx).toBeGreaterThan(0);
    expect(stats.network_tx).toBeGreaterThan(0);
  });

  it('answers zeros for a stopped container', async () => {
    const container = await runToEnd('still', 'true');
    expect(await call('docker.containers.stats', { container })).toEqual({
      cpu_percent: 0,
      memory_usage: 0,
      memory_limit: 0,
      network_rx: 0,
      network_tx: 0,
      block_read: 0,
      block_write: 0,
    });
  });
});
