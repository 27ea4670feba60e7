import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import type { ParamsInputOf } from '../protocol/commands/catalogue.ts';
import { CollectedLines, CollectedOutput } from './support/collected-output.ts';
import { countConnections } from './support/counted-connections.ts';
import { requireDocker } from './support/docker-engine.ts';
import { DockerFixture } from './support/docker-fixture.ts';
import { eventually } from './support/hub.ts';
import { LiveCall } from './support/live-call.ts';
import { WORKLOAD_IMAGE } from './support/workload-image.ts';

const host = requireDocker();
type Params = Omit<ParamsInputOf<'docker.containers.logs'>, 'container'>;

describe.skipIf(host === undefined)('following the log of a container on a real engine', () => {
  const docker = new DockerFixture(host ?? '');
  afterAll(() => docker.cleanUp());

  /** Answers the container's name. */
  async function start(suffix: string, script: string, ...options: string[]): Promise<string> {
    const name = docker.name(suffix);
    const run = ['run', '-d', '--network', 'none', '--name', name, ...options];
    await docker.cli(...run, WORKLOAD_IMAGE, 'sh', '-c', script);
    return name;
  }

  function follow(container: string, output: CollectedOutput, params: Params = {}) {
    const all = { container, follow: true, timestamps: false, ...params };
    const call = new LiveCall(host ?? '', 'docker.containers.logs', all, output);
    onTestFinished(() => call.cancel());
    return call;
  }

  /** Whether numbers come one after the other; holds none of them. */
  function counting() {
    const seen = { count: 0, wrong: [] as string[] };
    let rest = '';
    const output = new CollectedOutput((_stream, text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (Number(line) !== seen.count + 1) seen.wrong.push(`${line} after ${seen.count}`);
        seen.count = Number(line);
      }
    });
    return { output, seen };
  }

  const numbers = (count: number) => Array.from({ length: count }, (_, index) => `${index + 1}`);

  it.each([
    ['without a terminal', []],
    ['with a terminal', ['-t']],
  ])(
    'loses, doubles and mixes nothing at full speed and with a slow reader: %s',
    async (how, options) => {
      const { output, seen } = counting();
      const container = await start(
        `fast${options.length}`,
        'sleep 1; seq 1 300000; sleep 600',
        ...options,
      );
      const call = follow(container, output);
      await output.until(() => seen.count > 50_000);
      output.pause();
      const before = process.memoryUsage().rss;
      await docker.cli('exec', container, 'sleep', '3');
      expect(output.waiting).toBe(1);
      const grown = process.memoryUsage().rss - before;
      expect(grown, how).toBeLessThan(64 * 1024 * 1024);
      output.resume();
      await output.until(() => seen.count >= 300_000);
      expect(seen).toEqual({ count: 300_000, wrong: [] });
      await docker.cli('rm', '-f', container);
      expect(await call.ended).toMatchObject({ lines: 300_000, ended: 'container_removed' });
    },
  );

  it('goes on when the container restarts, without losing or doubling a line', async () => {
    const script =
      'n=$(cat /n 2>/dev/null || echo 0); m=$((n+200)); ' +
      'while [ $n -lt $m ]; do n=$((n+1)); echo $n; echo $n >/n; done; exec sleep 600';
    const container = await start('again', script);
    const output = new CollectedLines();
    const call = follow(container, output, { tail: 1_000 });
    for (const count of [200, 400, 600]) {
      await output.until(() => output.lines.length >= count);
      if (count < 600) await docker.cli('restart', '-t', '0', container);
    }
    await docker.cli('stop', '-t', '0', container);
    await docker.cli('start', container);
    await output.until(() => output.lines.length >= 800);
    expect(output.lines).toEqual(numbers(800));
    await docker.cli('rm', '-f', container);
    expect(await call.ended).toMatchObject({ lines: 800, ended: 'container_removed' });
  });

  it('keeps lines whole and says of each output what is its own', async () => {
    const script =
      "sleep 1; for i in 1 2 3; do printf 'out '; echo err >&2; echo $i; done; head -c 40000 /dev/zero | tr '\\0' x; echo; printf end";
    const container = await start('both', script);
    const both: string[] = [];
    const output = new CollectedOutput((stream, text) => {
      for (const line of text.trimEnd().split('\n')) both.push(`${stream} ${line}`);
    });
    const call = follow(container, output, { timestamps: true });
    // The container has stopped by then, and its last line gets no other end.
    await output.until(() => both.some((line) => line.endsWith(' end')));
    await docker.cli('rm', container);
    expect(await call.ended).toMatchObject({ lines: 8, ended: 'container_removed' });
    const shown = both.map((line) => line.replace(/ \d{4}-\S+Z /, ' '));
    expect(shown.filter((line) => line.startsWith('stdout'))).toEqual([
      ...['1', '2', '3'].map((number) => `stdout out ${number}`),
      `stdout ${'x'.repeat(40_000)}`,
      'stdout end',
    ]);
    expect(shown.filter((line) => line === 'stderr err')).toHaveLength(3);
  });

  it('knows the prompt of a terminal that got no end from the line after it', async () => {
    const container = await start('prompt', 'echo one; printf "$ "', '-t');
    await docker.cli('wait', container);
    const output = new CollectedLines();
    follow(container, output);
    await output.until(() => output.lines.includes('$ '));
    await docker.cli('start', container);
    await output.until(() => output.lines.length === 4);
    expect(output.lines).toEqual(['one\r', '$ ', 'one\r', '$ ']);
  });

  it('begins where it is told to', async () => {
    const container = await start('from', 'seq 1 5; sleep 2; seq 6 9; sleep 600');
    const fresh = new CollectedLines();
    const newest = new CollectedLines();
    follow(container, fresh, { tail: 0 });
    follow(container, newest, { tail: 2 });
    await Promise.all([
      fresh.until(() => fresh.lines.length >= 4),
      newest.until(() => newest.lines.length >= 6),
    ]);
    expect(fresh.lines).toEqual(['6', '7', '8', '9']);
    expect(newest.lines).toEqual(['4', '5', '6', '7', '8', '9']);
    const { logs = '' } = await docker.direct('docker.containers.logs', { container });
    const [, , , , , sixth = ''] = logs.split('\n');
    const since = sixth.slice(0, sixth.indexOf(' '));
    const later = new CollectedLines();
    follow(container, later, { since });
    await later.until(() => later.lines.length >= 4);
    expect(later.lines).toEqual(['6', '7', '8', '9']);
  });

  it('goes through a log of the past to its end and ends at `until`', async () => {
    const container = await start('past', 'seq 1 1000; sleep 600');
    await docker.cli('exec', container, 'sleep', '1');
    const output = new CollectedLines();
    const until = Date.now() / 1_000;
    const result = await follow(container, output, { tail: 1_000, until }).ended;
    expect(result).toMatchObject({ lines: 1_000, ended: 'until' });
    expect(output.lines).toEqual(numbers(1_000));
  });

  it('ends at `until` with all that was written before, though the reader is slow', async () => {
    const container = await start('until', 'seq 1 100000; sleep 3; echo late; sleep 600');
    const { output, seen } = counting();
    output.pause();
    const call = follow(container, output, { since: '1h', until: Date.now() / 1_000 + 2 });
    await docker.cli('exec', container, 'sleep', '3');
    output.resume();
    expect(await call.ended).toMatchObject({ lines: 100_000, ended: 'until' });
    expect(seen).toEqual({ count: 100_000, wrong: [] });
  });

  it('ends when its time is up, also while nobody reads', async () => {
    const container = await start('timeout', 'yes');
    const { output } = counting();
    output.pause();
    const result = await follow(container, output, { timeout: 1 }).ended;
    expect(result).toMatchObject({ ended: 'timeout' });
    expect(output.waiting).toBe(1);
  });

  it('passes on the lines that hold a text', async () => {
    const container = await start('grep', 'seq 1 2000; echo DONE; sleep 600');
    const output = new CollectedLines();
    follow(container, output, { grep: '99' });
    await output.until(() => output.lines.length >= 38);
    expect(output.lines).toEqual(numbers(2_000).filter((line) => line.includes('99')));
    const read = { container, timestamps: false } as const;
    const answer = (more: Params) =>
      docker.direct('docker.containers.logs', { ...read, ...more }).then(({ logs }) => logs);
    await eventually(async () =>
      expect(await answer({ grep: 'done', ignore_case: true })).toBe('DONE\n'),
    );
    expect(await answer({ grep: 'done' })).toBe('');
    expect(await answer({ grep: '1', tail: 2 })).toBe('');
    expect(await answer({ stdout: false })).toBe('');
    expect(await answer({ until: '1h' })).toBe('');
    expect(await answer({ since: '1h', tail: 2 })).toBe('2000\nDONE\n');
  });

  it('refuses to read nothing', async () => {
    const container = await start('terminal', 'sleep 600', '-t');
    const read = (more: Params) => docker.direct('docker.containers.logs', { container, ...more });
    const refusal = { name: 'INVALID_PARAMS' };
    await expect(read({ stdout: false })).rejects.toMatchObject(refusal);
    await expect(read({ stdout: false, stderr: false })).rejects.toMatchObject(refusal);
    await expect(read({ since: '1m', until: '2m' })).rejects.toMatchObject(refusal);
    const missing = follow(docker.name('missing'), new CollectedLines());
    await expect(missing.ended).rejects.toMatchObject({ name: 'NOT_FOUND' });
  });

  it('says in the engine’s words that a log cannot be followed', async () => {
    const container = await start('unlogged', 'sleep 600', '--log-driver', 'none');
    const call = follow(container, new CollectedLines());
    await expect(call.ended).rejects.toMatchObject({
      name: 'DOCKER_REFUSED',
      message: expect.stringContaining('logging driver'),
    });
  });

  it('leaves no connection to the engine when it is cancelled while nobody reads', async () => {
    const container = await start('cancelled', 'yes');
    const { output } = counting();
    await using engine = await countConnections(host ?? '');
    output.pause();
    const params = { container, follow: true };
    const call = new LiveCall(engine.host, 'docker.containers.logs', params, output);
    await output.until(() => output.waiting === 1);
    expect(engine.open()).toBeGreaterThan(0);
    call.cancel();
    await expect(call.ended).rejects.toMatchObject({ name: 'COMMAND_CANCELLED' });
    await eventually(() => expect(engine.open()).toBe(0));
  });
});
