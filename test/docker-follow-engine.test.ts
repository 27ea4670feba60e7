import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CollectedLines, CollectedOutput } from './support/collected-output.ts';
import { requirePart } from './support/docker-engine.ts';
import { isInstalled, isRoot } from './support/installed.ts';
import { KillableEngine } from './support/killable-engine.ts';
import { LiveCall } from './support/live-call.ts';
import { importWorkloadImage, WORKLOAD_IMAGE } from './support/workload-image.ts';

const run = promisify(execFile);
const canStart = isRoot() && isInstalled('dockerd') ? true : undefined;
const part = requirePart(
  'docker',
  canStart,
  'no dockerd to start (install docker.io, run as root)',
);

describe.skipIf(part === undefined)('what follows an engine that is killed and started', () => {
  let engine: KillableEngine;
  beforeAll(async () => {
    engine = await KillableEngine.start();
    await importWorkloadImage(engine.host);
  });
  afterAll(() => engine[Symbol.asyncDispose]());

  async function cli(...args: string[]): Promise<string> {
    const options = { maxBuffer: 256 * 1024 * 1024 };
    return (await run('docker', ['-H', engine.host, ...args], options)).stdout.trimEnd();
  }

  async function start(name: string, script: string, ...options: string[]): Promise<string> {
    const container = ['--network', 'none', '--name', name, ...options, WORKLOAD_IMAGE];
    await cli('run', '-d', ...container, 'sh', '-c', script);
    return name;
  }

  async function restart(output: CollectedOutput): Promise<void> {
    const before = output.steps.length;
    await engine.kill();
    await output.until(() => output.steps.length > before);
    await engine.start();
    await output.until(() => output.steps.length > before + 1);
    expect(output.steps.slice(before)).toEqual([
      'The Docker engine does not answer; waiting for it.',
      'The Docker engine answers again.',
    ]);
  }

  const COUNT =
    'n=$(cat /n 2>/dev/null || echo 0); while :; do n=$((n+1)); echo $n; echo $n >/n; usleep 1000; done';

  it('is a log: every line once and in order', async () => {
    const container = await start('counting', COUNT, '--restart', 'always');
    const output = new CollectedLines();
    const params = { container, follow: true, timestamps: false, since: '1h' };
    const call = new LiveCall(engine.host, 'docker.containers.logs', params, output);
    await output.until(() => output.lines.length > 500);
    for (const _round of [1, 2]) {
      const before = output.lines.length;
      await restart(output);
      await output.until(() => output.lines.length > before + 500);
    }
    await cli('stop', '-t', '0', container);
    const logged = (await cli('logs', container)).split('\n');
    await output.until(() => output.lines.length >= logged.length);
    expect(output.lines).toEqual(logged);
    await cli('rm', container);
    expect(await call.ended).toEqual({
      lines: logged.length,
      bytes: Buffer.byteLength(`${logged.join('\n')}\n`),
      ended: 'container_removed',
    });
  });

  it('is the logs of a project: every line of each container once and in order', async () => {
    const labels = (service: string) =>
      ['project=app', `service=${service}`].flatMap((label) => [
        '--label',
        `com.docker.compose.${label}`,
      ]);
    const names = ['app-web', 'app-store'];
    for (const name of names) await start(name, COUNT, '--restart', 'always', ...labels(name));
    const output = new CollectedLines();
    const params = { project: 'app', follow: true, tail: 10_000 };
    const call = new LiveCall(engine.host, 'docker.compose.logs', params, output);
    const linesOf = (name: string) =>
      output.lines
        .filter((line) => line.startsWith(`${name} | `))
        .map((line) => line.slice(`${name} | `.length));
    const goesOn = async () => {
      const before = names.map((name) => linesOf(name).length);
      await output.until(() =>
        names.every((name, at) => linesOf(name).length > (before[at] ?? 0) + 200),
      );
    };
    await goesOn();
    await restart(output);
    await goesOn();
    await cli('stop', '-t', '0', ...names);
    for (const name of names) {
      const logged = (await cli('logs', name)).split('\n');
      await output.until(() => linesOf(name).length >= logged.length);
      expect(linesOf(name)).toEqual(logged);
    }
    await cli('rm', ...names);
    expect(await call.ended).toMatchObject({
      lines: output.lines.length,
      ended: 'containers_removed',
    });
  });

  it('is the events: those from before and after', async () => {
    const output = new CollectedLines();
    const call = new LiveCall(engine.host, 'docker.events', EVENTS, output);
    const names = () => output.lines.map((line) => JSON.parse(line).attributes.name);
    const happen = async (name: string) => {
      await cli('create', '--name', name, WORKLOAD_IMAGE);
      await output.until(() => names().includes(name));
    };
    // The subscription stands when the first of them comes.
    let tries = 0;
    while (output.lines.length === 0) {
      await cli('create', '--name', `first${(tries += 1)}`, WORKLOAD_IMAGE);
    }
    await happen('event-a');
    await restart(output);
    await happen('event-b');
    await happen('event-c');
    expect(names().slice(-3)).toEqual(['event-a', 'event-b', 'event-c']);
    call.cancel();
    await expect(call.ended).rejects.toMatchObject({ name: 'COMMAND_CANCELLED' });
  });

  it('is the figures of a container', async () => {
    const container = await start('busy', 'while :; do :; done', '--restart', 'always');
    const output = new CollectedLines();
    const params = { container, stream: true };
    const call = new LiveCall(engine.host, 'docker.containers.stats', params, output);
    await output.until(() => output.lines.length >= 2);
    await restart(output);
    const before = output.lines.length;
    await output.until(() => output.lines.length >= before + 2);
    const sample = JSON.parse(output.lines.at(-1) ?? '');
    expect(sample).toMatchObject({ time: expect.stringMatching(/Z$/) });
    expect(sample.cpu_percent).toBeGreaterThan(5);
    await cli('rm', '-f', container);
    const { samples, ended, ...last } = await call.ended;
    expect({ samples, ended }).toEqual({
      samples: output.lines.length,
      ended: 'container_removed',
    });
    expect(JSON.parse(output.lines.at(-1) ?? '')).toMatchObject(last);
  });

  const ROTATION = ['--log-opt', 'max-size=1m', '--log-opt', 'max-file=2'];

  it('loses nothing when the engine rotates a log that is read in time', async () => {
    const script =
      'for i in $(seq 0 49); do seq $((i*1000+1)) $((i*1000+1000)); usleep 150000; done';
    const container = await start('rotated', script, ...ROTATION);
    const output = new CollectedLines();
    const params = { container, follow: true, timestamps: false, since: '1h' };
    const call = new LiveCall(engine.host, 'docker.containers.logs', params, output);
    await output.until(() => output.lines.at(-1) === '50000');
    expect(output.lines).toEqual(Array.from({ length: 50_000 }, (_, index) => `${index + 1}`));
    await cli('rm', '-f', container);
    expect(await call.ended).toEqual({ lines: 50_000, bytes: 288_894, ended: 'container_removed' });
  });

  it('says that lines were rotated away before they were read, and doubles none', async () => {
    const container = await start('lost', 'sleep 1; seq 1 400000; sleep 600', ...ROTATION);
    const numbers: number[] = [];
    const output = new CollectedOutput((_stream, text) => {
      for (const line of text.trimEnd().split('\n')) numbers.push(Number(line));
    });
    const params = { container, follow: true, timestamps: false, since: '1h' };
    const call = new LiveCall(engine.host, 'docker.containers.logs', params, output);
    await output.until(() => numbers.length > 1_000);
    output.pause();
    await cli('exec', container, 'sleep', '6');
    output.resume();
    await output.until(() => numbers.at(-1) === 400_000);
    expect(numbers.length).toBeLessThan(400_000);
    expect(numbers.every((number, index) => number > (numbers[index - 1] ?? 0))).toBe(true);
    await cli('rm', '-f', container);
    const { gaps = 0, lines } = await call.ended;
    expect(gaps).toBeGreaterThan(0);
    expect(lines).toBe(numbers.length);
  });
});

const EVENTS = { follow: true, filters: { type: 'container', event: 'create' } } as const;
