import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import path from 'node:path';
import { pino } from 'pino';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { LOG_BATCH_MAX_BYTES, LOG_BATCHES_MAX_COUNT } from '../../protocol/limits.ts';
import { logBatchSchema } from '../../protocol/log-collection.ts';
import { requireDocker } from '../../test/support/docker-engine.ts';
import { DockerFixture, HOLD } from '../../test/support/docker-fixture.ts';
import { eventually } from '../../test/support/hub.ts';
import { isInstalled, isRoot } from '../../test/support/installed.ts';
import { KillableEngine } from '../../test/support/killable-engine.ts';
import {
  type CollectingOptions,
  collectLogs,
  dataDirectory,
} from '../../test/support/log-collecting.ts';
import { json, startScriptedEngine } from '../../test/support/scripted-engine.ts';
import { importWorkloadImage, WORKLOAD_IMAGE } from '../../test/support/workload-image.ts';
import { PositionFile } from './position-file.ts';

const host = requireDocker();
const log = pino({ level: 'silent' });
let label = '';

const collect = (dockerHost: string, options: Partial<CollectingOptions> = {}) =>
  collectLogs(dockerHost, { collection: { label: `tomo-test=${label}` }, ...options });

const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => String(from + index));

describe.skipIf(host === undefined)('LogCollector', () => {
  let docker: DockerFixture;

  beforeAll(() => {
    docker = new DockerFixture(host ?? '');
    label = randomUUID();
    return () => docker.cleanUp();
  });

  async function run(suffix: string, script: string, ...more: string[]): Promise<string> {
    const name = docker.name(suffix);
    const flags = ['-d', '--name', name, '--network', 'none', '--label', `tomo-test=${label}`];
    await docker.cli('run', ...flags, ...more, WORKLOAD_IMAGE, 'sh', '-c', script);
    return name;
  }

  it('pushes every line of chosen containers from their start, with output and time', async () => {
    const { lines, batches } = await collect(host ?? '');
    const name = await run('both', 'echo one; echo two >&2; printf three');
    const other = docker.name('other');
    const flags = ['-d', '--name', other, '--network', 'none'];
    await docker.cli('run', ...flags, WORKLOAD_IMAGE, 'echo', 'no');
    await eventually(() => expect(lines(name).toSorted()).toEqual(['one', 'three', 'two']));
    const [line] = batches.flatMap(({ lines: all }) => all.filter(({ text }) => text === 'two'));
    expect(line).toMatchObject({ stream: 'stderr', n: 0 });
    expect(Math.abs(Number(line?.at) / 1_000_000 - Date.now())).toBeLessThan(60_000);
    expect(lines(other)).toEqual([]);
  });

  it('leaves out what was logged before it was switched on', async () => {
    const name = await run('older', `echo before; ${HOLD}; echo after; exec sleep 600`);
    await eventually(async () => expect(await docker.cli('logs', name)).toBe('before'));
    const { lines } = await collect(host ?? '');
    await docker.letGo(name);
    await eventually(() => expect(lines(name)).toEqual(['after']));
  });

  it('reads the lines of a terminal', async () => {
    const { lines } = await collect(host ?? '');
    const name = await run('terminal', 'echo one; echo two', '-t');
    await eventually(() => expect(lines(name)).toEqual(['one', 'two']));
  });

  it('tells the prompt of a terminal from the next line, also when the agent was started anew', async () => {
    const first = await collect(host ?? '');
    const name = await run('prompt', 'echo one; printf "$ "', '-t');
    const file = path.join(first.dataDir, 'log-positions.json');
    await eventually(async () => expect(await readFile(file, 'utf8')).toContain('unended'));
    await first.dispose();
    const { lines } = await collect(host ?? '', { dataDir: first.dataDir });
    await docker.cli('start', name);
    await eventually(() => expect(lines(name)).toEqual(['one', '$ ']));
  });

  it('cuts long lines, and keeps the next', async () => {
    const { lines, batches } = await collect(host ?? '');
    const name = await run('long', 'head -c 50000 /dev/zero | tr "\\0" x; echo; echo next');
    await eventually(() => expect(lines(name)).toHaveLength(2));
    expect(lines(name)).toEqual(['x'.repeat(16_384), 'next']);
    expect(batches[0]?.lines[0]?.cut).toBe(true);
  });

  it('goes on through restarts and a new name of the container, each line once', async () => {
    const { lines } = await collect(host ?? '');
    const count = 'n=$(cat /tmp/n 2>/dev/null || echo 0); echo $((n+1)) >/tmp/n;';
    const name = await run('again', `${count} for i in 1 2 3; do echo $n-$i; done; exec sleep 600`);
    await eventually(() => expect(lines(name)).toHaveLength(3));
    await docker.cli('restart', '-t', '0', name);
    await eventually(() => expect(lines(name)).toHaveLength(6));
    await docker.cli('rename', name, `${name}-new`);
    await docker.cli('restart', '-t', '0', `${name}-new`);
    await eventually(() => expect(lines(`${name}-new`)).toHaveLength(3));
    const all = [...lines(name), ...lines(`${name}-new`)];
    expect(all).toEqual([0, 1, 2].flatMap((n) => [1, 2, 3].map((i) => `${n}-${i}`)));
  });

  it('goes on where the hub has all of it when the agent is started anew', async () => {
    const first = await collect(host ?? '');
    const name = await run(
      'agent',
      'i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo $i; usleep 10000; done',
    );
    await eventually(() => expect(first.lines(name).length).toBeGreaterThan(50));
    await first.dispose();
    const { dataDir } = first;
    const second = await collect(host ?? '', { dataDir });
    await eventually(() => expect(second.lines(name).at(-1)).toBe('400'));
    // Only what was acknowledged counts as taken; what was on its way comes again.
    const before = first.lines(name);
    const after = second.lines(name);
    const overlap = before.indexOf(after[0] ?? '');
    const kept = overlap === -1 ? before : before.slice(0, overlap);
    expect([...kept, ...after]).toEqual(numbers(1, 400));
    expect(before.length - kept.length).toBeLessThan(60);
  });

  it('stops reading while the hub takes nothing, and holds no more than it may', async () => {
    const { batches, lines, ack, collector } = await collect(host ?? '', { acks: false });
    const count = 100_000;
    const name = await run('flood', `seq 1 ${count}`);
    const text = (): number => Buffer.byteLength(JSON.stringify(batches));
    await eventually(() => expect(batches).toHaveLength(1));
    await expectQuiet(() => batches.length);
    expect(batches).toHaveLength(1);
    ack(1);
    await eventually(() => expect(batches).toHaveLength(1 + LOG_BATCHES_MAX_COUNT));
    await expectQuiet(() => batches.length);
    expect(batches).toHaveLength(1 + LOG_BATCHES_MAX_COUNT);
    expect(text()).toBeLessThan((1 + LOG_BATCHES_MAX_COUNT) * LOG_BATCH_MAX_BYTES);
    const acking = setInterval(() => ack(batches.length), 5);
    onTestFinished(() => clearInterval(acking));
    await eventually(() => expect(lines(name)).toHaveLength(count));
    expect(lines(name)).toEqual(numbers(1, count));
    expect(collector).toBeDefined();
  });

  it('reports how many containers are too many to collect, once and when the number changes', async () => {
    const own = `tomo-many=${randomUUID()}`;
    const runOwn = (suffix: string) => run(suffix, 'echo one; exec sleep 600', '--label', own);
    const collection = { label: own };
    const first = await runOwn('first');
    const { reports, settings, lines } = await collect(host ?? '', { collection, maxCount: 1 });
    const others = [await runOwn('second'), await runOwn('third')];
    const report = (containers: number) => ({ type: 'logs.not_collected', containers, max: 1 });
    await eventually(() => expect(reports.at(-1)).toEqual(report(2)));
    settings.collectLogs('off');
    settings.collectLogs(collection);
    await eventually(() => expect(reports.slice(-2)).toEqual([report(2), report(2)]));
    await docker.cli('rm', '-f', ...others);
    await eventually(() => expect(reports.at(-1)).toEqual(report(0)));
    // Each differs from the one before, but for the one after the setting.
    const counts = reports.map((each) => JSON.stringify(each));
    expect(counts.filter((each, at) => each === counts[at - 1])).toHaveLength(1);
    await docker.cli('rm', '-f', first);
    const next = await runOwn('next');
    await eventually(() => expect(lines(next)).toEqual(['one']));
  });

  it('sends again on a new session what was not acknowledged', async () => {
    const { batches, lines, collector, detach } = await collect(host ?? '', { acks: false });
    const name = await run('session', 'echo one; exec sleep 600');
    await eventually(() => expect(lines(name)).toEqual(['one']));
    detach();
    const again: number[] = [];
    collector.feed.attach((_method, params) => {
      again.push(logBatchSchema.parse(params).batch);
    });
    expect(again).toEqual([batches[0]?.batch]);
    // And once more when nothing is heard of it.
    await eventually(() => expect(again).toHaveLength(2));
  });

  it('ends when it is switched off, and begins anew then', async () => {
    const { lines, settings, dataDir } = await collect(host ?? '');
    const name = await run('off', 'i=0; while true; do i=$((i+1)); echo $i; usleep 20000; done');
    const file = path.join(dataDir, 'log-positions.json');
    await eventually(async () => expect(await readFile(file, 'utf8')).toContain('stdout'));
    settings.collectLogs('off');
    await eventually(async () => {
      await expect(readFile(file)).rejects.toMatchObject({ code: 'ENOENT' });
    });
    const { length } = lines(name);
    // What is logged meanwhile is not collected.
    const newest = async () => Number(await docker.cli('logs', '--tail', '1', name));
    await eventually(async () => expect(await newest()).toBeGreaterThan(length + 2));
    const meanwhile = await newest();
    settings.collectLogs('all');
    await eventually(() => expect(lines(name).length).toBeGreaterThan(length + 3));
    expect(Number(lines(name)[length])).toBeGreaterThan(meanwhile);
  });

  it('begins anew when its file is no such file, and says so when it cannot be written', async () => {
    const dataDir = await dataDirectory();
    await writeFile(path.join(dataDir, 'log-positions.json'), '{"since": 1');
    const { lines } = await collect(host ?? '', { dataDir });
    const name = await run('file', 'echo one');
    await eventually(() => expect(lines(name)).toEqual(['one']));
    const unwritable = new PositionFile(path.join(dataDir, 'log-positions.json', 'x'), log);
    await unwritable.load();
    const container = { id: 'c', name: 'c' };
    const place = { at: '1', n: 0 };
    const line = { stream: 'stdout', place, text: '', isCut: false, isLost: false } as const;
    unwritable.stored([{ container, line }]);
    await expect(unwritable.write()).resolves.toBeUndefined();
  });
});

it('LogCollector follows what starts after it was switched off and on at once, just when another started', async () => {
  const engine = await startCountingEngine();
  onTestFinished(() => engine[Symbol.asyncDispose]());
  const { lines, settings, events } = await collectLogs(engine.host, { collection: 'all' });
  // The list of containers is asked for, and comes only when all of this has happened.
  const heard = Promise.withResolvers<void>();
  events.on(({ kind }) => kind === 'event' && heard.resolve());
  await engine.start('one');
  await heard.promise;
  settings.collectLogs('off');
  settings.collectLogs('all');
  engine.list();
  await engine.start('two');
  await eventually(() => expect(lines('two')).toEqual(['hello']));
});

const canStartEngines = host !== undefined && isRoot() && isInstalled('dockerd');

describe.skipIf(!canStartEngines)('LogCollector whose engine is killed', () => {
  it('loses and doubles no line', async () => {
    const own = await KillableEngine.start();
    onTestFinished(() => own[Symbol.asyncDispose]());
    await importWorkloadImage(own.host);
    const { lines } = await collect(own.host, { collection: 'all' });
    const docker = new DockerEngine(own.host);
    const script = 'i=0; while true; do i=$((i+1)); echo $i; usleep 5000; done';
    const body = { Image: WORKLOAD_IMAGE, Cmd: ['sh', '-c', script], StopSignal: 'KILL' };
    const query = { name: 'counts' };
    const networkless = { ...body, HostConfig: { NetworkMode: 'none' } };
    await docker.request({ method: 'POST', path: '/containers/create', query, body: networkless });
    await docker.request({ method: 'POST', path: '/containers/counts/start' });
    await eventually(() => expect(lines('counts').length).toBeGreaterThan(100));
    await own.kill();
    await own.start();
    const kept = await loggedNumbers(docker);
    await docker.request({ method: 'POST', path: '/containers/counts/start' });
    await eventually(() => expect(lines('counts').length).toBeGreaterThan(kept.length + 50));
    expect(lines('counts').slice(0, kept.length)).toEqual(kept);
    const second = lines('counts').slice(kept.length);
    expect(second).toEqual(numbers(1, second.length));
  });
});

/** What the engine itself has of it. */
async function loggedNumbers(docker: DockerEngine): Promise<string[]> {
  const query = { stdout: true };
  return await docker.stream({ path: '/containers/counts/logs', query }, async (bytes) => {
    const chunks: Buffer[] = [];
    for await (const chunk of bytes as AsyncIterable<Buffer>) chunks.push(chunk);
    return (
      Buffer.concat(chunks)
        .toString('latin1')
        .match(/\d+(?=\n)/g) ?? []
    );
  });
}

/** Until a figure has not changed for some time. */
async function expectQuiet(figure: () => number): Promise<void> {
  let last = -1;
  while (last !== figure()) {
    last = figure();
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
}

/** An engine whose containers run, say one thing and start when a test says so; its list waits for `list`. */
async function startCountingEngine() {
  const listed = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<ServerResponse>();
  const engine = await startScriptedEngine(({ url }, response) => {
    const [, id = ''] = /^\/containers\/(\w+)\//.exec(url) ?? [];
    if (url.startsWith('/events')) {
      response.writeHead(200).flushHeaders();
      opened.resolve(response);
    } else if (url.startsWith('/containers/json?')) {
      void listed.promise.then(() => json(response, 200, []));
    } else if (url.startsWith('/containers/json')) json(response, 200, []);
    else if (url.includes('/logs')) response.write(`${new Date().toISOString()} hello\n`);
    else json(response, 200, running(id));
  });
  const start = async (id: string): Promise<void> => {
    const Actor = { ID: id, Attributes: { name: id } };
    const event = { Type: 'container', Action: 'start', Actor, timeNano: Date.now() * 1e6 };
    const response = await opened.promise;
    await new Promise((resolve) => response.write(`${JSON.stringify(event)}\n`, resolve));
  };
  return { ...engine, list: () => listed.resolve(), start };
}

function running(id: string): object {
  const State = { Running: true, Restarting: false, StartedAt: 'once', FinishedAt: '' };
  return { Id: id, Name: `/${id}`, Config: { Tty: true, Labels: {} }, HostConfig: {}, State };
}
