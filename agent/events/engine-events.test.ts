import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { requireDocker } from '../../test/support/docker-engine.ts';
import { DockerFixture } from '../../test/support/docker-fixture.ts';
import { eventually } from '../../test/support/hub.ts';
import { isInstalled, isRoot } from '../../test/support/installed.ts';
import { KillableEngine } from '../../test/support/killable-engine.ts';
import { startScriptedEngine } from '../../test/support/scripted-engine.ts';
import { importWorkloadImage, WORKLOAD_IMAGE } from '../../test/support/workload-image.ts';
import { EngineEvents, type EngineNews } from './engine-events.ts';

const host = requireDocker();
const run = promisify(execFile);
const log = pino({ level: 'silent' });
const stack: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (let end = stack.pop(); end !== undefined; end = stack.pop()) await end();
});

/** All news of an engine, from now on. */
async function follow(dockerHost: string, pingMs?: number) {
  const engine = new DockerEngine(dockerHost);
  const events = new EngineEvents({ engine, log, ...(pingMs === undefined ? {} : { pingMs }) });
  stack.push(() => events[Symbol.asyncDispose]());
  const news: EngineNews[] = [];
  events.on((one) => news.push(one));
  events.start();
  await eventually(() => expect(news).toContainEqual({ kind: 'up' }));
  const told = (name: string) =>
    news.flatMap((one) => (one.kind === 'event' && one.event.name === name ? [one.event] : []));
  const types = (name: string): string[] => told(name).map(({ type }) => type);
  return { events, news, told, types };
}

describe.skipIf(host === undefined)('EngineEvents', () => {
  let docker: DockerFixture;

  beforeAll(() => {
    docker = new DockerFixture(host ?? '');
    return () => docker.cleanUp();
  });

  it('tells a container’s life, its death once with the exit code', async () => {
    const { types, told } = await follow(host ?? '');
    const name = docker.name('life');
    await docker.cli(
      'run',
      '-d',
      '--name',
      name,
      '--network',
      'none',
      WORKLOAD_IMAGE,
      'sleep',
      '600',
    );
    await docker.cli('stop', '-t', '0', name);
    await docker.cli('rename', name, `${name}-2`);
    await docker.cli('rm', `${name}-2`);
    await eventually(() => expect(types(`${name}-2`)).toContain('container.destroy'));
    expect(types(name)).toEqual(['container.create', 'container.start', 'container.die']);
    expect(told(name).at(-1)?.detail).toMatchObject({
      container: name,
      image: WORKLOAD_IMAGE,
      exit_code: 137,
    });
    expect(types(`${name}-2`)).toEqual(['container.rename', 'container.destroy']);
    expect(told(`${name}-2`)[0]?.detail).toMatchObject({ old_name: name });
  });

  it('tells exit codes, pauses, volumes, networks and images', async () => {
    const { news, types, told } = await follow(host ?? '');
    const name = docker.name('mixed');
    const isTold = (type: string): boolean =>
      news.some((one) => one.kind === 'event' && one.event.type === type);
    await docker.cli(
      'run',
      '-d',
      '--name',
      name,
      '--network',
      'none',
      WORKLOAD_IMAGE,
      'sh',
      '-c',
      'sleep 1; exit 3',
    );
    await docker.cli('pause', name);
    await docker.cli('unpause', name);
    await docker.cli('volume', 'create', docker.name('v'));
    await docker.cli('volume', 'rm', docker.name('v'));
    await docker.cli('tag', WORKLOAD_IMAGE, `${docker.name('image')}:1`);
    await docker.cli('rmi', `${docker.name('image')}:1`);
    await eventually(() => expect(types(name)).toContain('container.die'));
    expect(types(name).slice(2)).toEqual(['container.pause', 'container.unpause', 'container.die']);
    expect(told(name).at(-1)?.detail['exit_code']).toBe(3);
    expect(isTold('volume.create')).toBe(true);
    expect(isTold('volume.remove')).toBe(true);
  });

  it('tells a health only when it changes', async () => {
    const { told } = await follow(host ?? '');
    const name = docker.name('health');
    const check = [
      '--health-cmd',
      'test ! -e /tmp/ill',
      '--health-interval',
      '100ms',
      '--health-retries',
      '1',
    ];
    await docker.cli('run', '-d', '--name', name, '--network', 'none', ...check, WORKLOAD_IMAGE);
    const healths = () =>
      told(name).flatMap(({ type, detail }) =>
        type === 'container.health_status' ? [detail['health']] : [],
      );
    await eventually(() => expect(healths()).toEqual(['healthy']));
    await docker.cli('exec', name, 'touch', '/tmp/ill');
    await eventually(() => expect(healths()).toEqual(['healthy', 'unhealthy']));
    await docker.cli('exec', name, 'rm', '/tmp/ill');
    await eventually(() => expect(healths()).toEqual(['healthy', 'unhealthy', 'healthy']));
  });
});

const canStartEngines = host !== undefined && isRoot() && isInstalled('dockerd');

describe.skipIf(!canStartEngines)('EngineEvents of an engine that is killed and started', () => {
  it('loses and doubles nothing, not even a death that the engine missed', async () => {
    const own = await KillableEngine.start();
    stack.push(() => own[Symbol.asyncDispose]());
    await importWorkloadImage(own.host);
    const cli = async (...args: string[]): Promise<string> =>
      (await run('docker', ['-H', own.host, ...args])).stdout;
    const start = (name: string, ...more: string[]): Promise<string> =>
      cli('run', '-d', '--name', name, '--network', 'none', ...more);
    const { news, types } = await follow(own.host);
    await start('stays', '--stop-signal', 'KILL', WORKLOAD_IMAGE);
    await start('ends', WORKLOAD_IMAGE, 'sh', '-c', 'exit 3');
    await eventually(() => expect(types('ends')).toContain('container.die'));
    await own.kill();
    await eventually(() => expect(news.at(-1)).toEqual({ kind: 'down' }));
    await own.start();
    await eventually(() => expect(types('stays')).toContain('container.die'));
    await start('later', WORKLOAD_IMAGE, 'sh', '-c', 'exit 4');
    await eventually(() => expect(types('later')).toContain('container.die'));
    const once = ['container.create', 'container.start', 'container.die'];
    expect(types('stays')).toEqual(once);
    expect(types('ends')).toEqual(once);
    expect(types('later')).toEqual(once);
    expect(news.flatMap(({ kind }) => (kind === 'event' ? [] : [kind]))).toEqual([
      'up',
      'down',
      'up',
    ]);
  });
});

describe('EngineEvents of an engine that misbehaves', () => {
  it('takes the stream for dead when the engine stops answering beside it', async () => {
    let isDead = false;
    let streams = 0;
    const engine = await startScriptedEngine(({ url }, response) => {
      if (url.startsWith('/containers/json')) response.writeHead(200).end('[]');
      else if (url.startsWith('/_ping') && !isDead) response.writeHead(200).end('OK');
      else if (url.startsWith('/events')) {
        streams += 1;
        response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
      } else response.destroy();
    });
    stack.push(async () => await engine[Symbol.asyncDispose]());
    await follow(engine.host, 20);
    await eventually(() => expect(engine.calls.some(({ url }) => url === '/_ping')).toBe(true));
    expect(streams).toBe(1);
    isDead = true;
    await eventually(() => expect(streams).toBeGreaterThan(1));
  });

  it('passes over messages that are none, unknown or too long, and takes the next', async () => {
    const good = message('die', { name: 'web', exitCode: '9' });
    const engine = await startScriptedEngine(({ url }, response) => {
      if (!url.startsWith('/events')) return void response.writeHead(200).end('[]');
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write(`no json\n{"Type":"daemon"}\n${message('exec_start: x', {})}\n`);
      response.write(`${message('die', { name: 'web', big: 'x'.repeat(1024 * 1024) })}\n${good}\n`);
    });
    stack.push(async () => await engine[Symbol.asyncDispose]());
    const { told } = await follow(engine.host);
    await eventually(() => expect(told('web')).toHaveLength(1));
    expect(told('web')[0]).toMatchObject({ type: 'container.die', detail: { exit_code: 9 } });
  });
});

function message(Action: string, Attributes: Record<string, string>): string {
  return JSON.stringify({
    Type: 'container',
    Action,
    Actor: { ID: 'c1', Attributes },
    timeNano: 1_700_000_000_000_000_000,
  });
}
