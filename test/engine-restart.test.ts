import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { collected } from './support/collected-logs.ts';
import { requirePart } from './support/docker-engine.ts';
import { eventually } from './support/hub.ts';
import { isInstalled, isRoot } from './support/installed.ts';
import { KillableEngine } from './support/killable-engine.ts';
import type { TestClient } from './support/mcp-client.ts';
import { OutputReader } from './support/output-reader.ts';
import { type Program, Started } from './support/processes.ts';
import { runProgram } from './support/run-program.ts';
import { connect, startAgent, startServer } from './support/tomo.ts';
import { importWorkloadImage, WORKLOAD_IMAGE } from './support/workload-image.ts';

const canStart = isRoot() && isInstalled('dockerd') ? true : undefined;
const NO_ENGINE = 'no dockerd to start (install docker.io, run as root)';
const part = requirePart('docker', canStart, NO_ENGINE);

const LABEL = 'collected';
const COUNT =
  'n=$(cat /n 2>/dev/null || echo 0); while :; do n=$((n+1)); echo $n; echo $n >/n; usleep 20000; done';
/** The engine that is started so leaves its containers alone when it is killed itself. */
const LIVE_RESTORE = ['--live-restore'];
const MORE_LINES = 50;

const eventsSchema = z.object({
  events: z.array(z.object({ type: z.string(), detail: z.record(z.string(), z.unknown()) })),
  next_cursor: z.undefined().optional(),
});
const metricsSchema = z.object({
  times: z.array(z.string()),
  series: z.tuple([z.object({ values: z.array(z.number().nullable()) })]),
});

/** What the hub was told of a container by itself, oldest first. */
async function toldOf(client: TestClient, type: string, container: string) {
  const args = { server_id: 'web-1', type: `agent.container.${type}`, limit: 200 };
  const { structuredContent } = await client.callTool('get_agent_events', args);
  const { events } = eventsSchema.parse(structuredContent);
  return events
    .map(({ detail }) => detail)
    .filter((detail) => detail['container'] === container)
    .toReversed();
}

/** Whether the container was measured after that. */
async function isMeasuredSince(client: TestClient, container: string, atMs: number) {
  const metrics = { metrics: ['memory'], since: '1h', step_seconds: 10 };
  const args = { server_id: 'web-1', container, ...metrics };
  const { structuredContent } = await client.callTool('get_agent_metrics', args);
  const { times, series } = metricsSchema.parse(structuredContent);
  return times.some((time, at) => Date.parse(time) > atMs && series[0].values[at] !== null);
}

/** Measurements and batches of lines take their time. */
const until = (holds: () => Promise<boolean>) =>
  vi.waitFor(async () => expect(await holds()).toBe(true), { timeout: 60_000, interval: 200 });

describe.skipIf(part === undefined)('an engine that is restarted', () => {
  const started = new Started();
  let engine: KillableEngine;
  let client: TestClient;
  let agent: Program;
  const lines: string[] = [];
  const events: string[] = [];
  let log: OutputReader;
  let stream: OutputReader;
  const ended: { container: string; exit_code: number }[] = [];

  const cli = (...args: string[]) => runProgram('docker', '-H', engine.host, ...args);
  const create = (name: string) => cli('create', '--name', name, WORKLOAD_IMAGE);
  const hasEvent = (name: string) => events.some((line) => line.includes(`"name":"${name}"`));

  beforeAll(async () => {
    engine = await KillableEngine.start();
    await importWorkloadImage(engine.host);
    const server = await startServer(started);
    client = await connect(started, 'v2-auto', server.http);
    const settings = { log_collection: { label: LABEL }, metrics_interval: 5 };
    await client.callTool('configure_agents', { settings });
    const env = { DOCKER_HOST: engine.host };
    agent = await startAgent(started, server, client, 'web-1', env);
    await agent.line('following the engine’s events');

    const run = ['run', '-d', '--network', 'none', '--stop-signal', 'KILL'];
    const counting = ['--name', 'counting', '--restart', 'always', '--label', LABEL];
    await cli(...run, ...counting, WORKLOAD_IMAGE, 'sh', '-c', COUNT);
    const params = { container: 'counting', follow: true, timestamps: false, since: 0 };
    const logCall = ['web-1', 'docker.containers.logs', params] as const;
    log = await OutputReader.begin(client, logCall, (line) => lines.push(line));
    const filters = { type: 'container' };
    const eventsCall = ['web-1', 'docker.events', { follow: true, filters }] as const;
    stream = await OutputReader.begin(client, eventsCall, (line) => events.push(line));
    await log.until(() => lines.length > MORE_LINES);
    // The subscription stands when the first of them comes.
    for (let tries = 1; events.length === 0; tries += 1) {
      await create(`first-${tries}`);
      await stream.read();
    }
  });
  afterAll(async () => {
    await started[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  /** What follows has all gone on since. */
  async function goesOn(mark: string): Promise<void> {
    const atMs = Date.now();
    const before = { followed: lines.length, found: (await collected(client, 'counting')).length };
    await log.until(() => lines.length > before.followed + MORE_LINES);
    await create(mark);
    await stream.until(() => hasEvent(mark));
    const found = async () => (await collected(client, 'counting')).length;
    await until(async () => (await found()) > before.found + MORE_LINES);
    await until(() => isMeasuredSince(client, 'counting', atMs));
  }

  it.each([
    { mark: 'killed', signal: 'SIGKILL', flags: [], exitCode: 3 },
    // Told to stop, it stops its containers itself.
    { mark: 'stopped', signal: 'SIGTERM', flags: LIVE_RESTORE, exitCode: 4 },
    { mark: 'killed-beside-its-containers', signal: 'SIGKILL', flags: LIVE_RESTORE, exitCode: 3 },
  ] as const)(
    'goes on everywhere after the engine was $mark',
    { timeout: 180_000 },
    async ({ mark, signal, flags, exitCode }) => {
      // One that ends by itself while the engine is away, as far as the engine lets it live.
      const directory = started.directory();
      const ending = `ending-${mark}`;
      const wait = 'while [ ! -e /signal/go ]; do usleep 50000; done; exit 3';
      const run = ['run', '-d', '--network', 'none', '--name', ending];
      const script = ['sh', '-c', `trap "exit 4" TERM; ${wait}`];
      await cli(...run, '-v', `${directory}:/signal`, WORKLOAD_IMAGE, ...script);
      await eventually(async () => expect(await toldOf(client, 'start', ending)).toHaveLength(1));
      await goesOn(`before-${mark}`);
      const since = agent.lineCount();
      await engine.kill(signal);
      await agent.line('the engine does not answer', since);
      writeFileSync(join(directory, 'go'), '');
      await engine.start(...flags);
      await goesOn(`after-${mark}`);
      ended.push({ container: ending, exit_code: exitCode });
      await eventually(async () =>
        expect(await toldOf(client, 'die', ending)).toMatchObject([{ exit_code: exitCode }]),
      );
    },
  );

  it('has lost and doubled nothing', async () => {
    await cli('stop', '-t', '0', 'counting');
    const logged = (await cli('logs', 'counting')).trimEnd().split('\n');
    await log.until(() => lines.length >= logged.length);
    expect(lines).toEqual(logged);
    expect(log.droppedBytes).toBe(0);
    await until(async () => (await collected(client, 'counting')).length >= logged.length);
    expect(await collected(client, 'counting')).toEqual(logged);

    // Killed with the engine, stopped with it, and now; not while the engine was away alone.
    await eventually(async () =>
      expect(await toldOf(client, 'die', 'counting')).toMatchObject(
        Array(3).fill({ exit_code: 137 }),
      ),
    );
    const starts = await toldOf(client, 'start', 'counting');
    expect(starts).toHaveLength(3);
    expect(new Set(starts.map(({ at }) => at)).size).toBe(3);

    for (const { container, exit_code } of ended) {
      expect(await toldOf(client, 'die', container)).toMatchObject([{ exit_code }]);
    }

    await create('last');
    await stream.until(() => hasEvent('last'));
    expect(new Set(events).size).toBe(events.length);
    const created = events.filter((line) => JSON.parse(line).action === 'create');
    const names = created.map((line) => JSON.parse(line).attributes.name);
    const marks = ['killed', 'stopped', 'killed-beside-its-containers'];
    const expected = marks.flatMap((mark) => [`ending-${mark}`, `before-${mark}`, `after-${mark}`]);
    expect(names.slice(names.indexOf('ending-killed'))).toEqual([...expected, 'last']);
    await log.cancel();
    await stream.cancel();
  });
});
