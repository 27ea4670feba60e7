import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { LogBatch } from '../../protocol/log-collection.ts';
import { requireDocker } from '../../test/support/docker-engine.ts';
import { DockerFixture, HOLD } from '../../test/support/docker-fixture.ts';
import { eventually } from '../../test/support/hub.ts';
import { isInstalled, isRoot } from '../../test/support/installed.ts';
import { KillableEngine } from '../../test/support/killable-engine.ts';
import { collectLogs } from '../../test/support/log-collecting.ts';
import { runProgram } from '../../test/support/run-program.ts';
import { importWorkloadImage, WORKLOAD_IMAGE } from '../../test/support/workload-image.ts';

const host = requireDocker();
/** For very many lines on a busy machine. */
const PATIENTLY = { timeout: 50_000, interval: 50 };

type Line = LogBatch['lines'][number];

/** How many lines of a container that counts are there, how many are lost, and what is wrong with them. */
function account(lines: readonly Line[]) {
  const seen = { found: 0, lost: 0, words: 0, wrong: [] as string[] };
  let last = lines[0]?.text === '0' ? -1 : 0;
  let place: readonly [bigint, number] = [0n, 0];
  let isGap = false;
  for (const { text, at, n, lost } of lines) {
    const isLater = BigInt(at) > place[0] || (BigInt(at) === place[0] && n > place[1]);
    if (!isLater) seen.wrong.push(`${text} stands at ${at}/${n}, after ${place.join('/')}`);
    place = [BigInt(at), n];
    if (lost === true) {
      seen.words += 1;
      isGap = true;
      continue;
    }
    const missing = Number(text) - last - 1;
    if (missing < 0 || (missing > 0 && !isGap)) seen.wrong.push(`${text} after ${last}`);
    seen.found += 1;
    seen.lost += missing;
    last = Number(text);
    isGap = false;
  }
  return seen;
}

describe.skipIf(host === undefined)('LogCollector of a log that the engine rotates', () => {
  let docker: DockerFixture;
  let label = '';

  beforeAll(() => {
    docker = new DockerFixture(host ?? '');
    label = `tomo-rotation=${randomUUID()}`;
    return () => docker.cleanUp();
  });

  async function run(suffix: string, script: string, files: number): Promise<string> {
    const name = docker.name(suffix);
    const flags = ['-d', '--name', name, '--network', 'none', '--label', label];
    const rotation = ['--log-opt', 'max-size=1m', '--log-opt', `max-file=${files}`];
    await docker.cli('run', ...flags, ...rotation, WORKLOAD_IMAGE, 'sh', '-c', script);
    return name;
  }

  /** Resolves when the number has been collected. */
  async function until(lines: (name: string) => string[], name: string, last: number) {
    await vi.waitFor(() => expect(lines(name).at(-1)).toBe(String(last)), PATIENTLY);
  }

  /** Lets it write on; resolves when the number is in its log. */
  async function letWrite(name: string, last: number) {
    await docker.letGo(name);
    const newest = () => docker.cli('logs', '--tail', '1', name);
    await vi.waitFor(async () => expect(await newest()).toBe(String(last)), PATIENTLY);
  }

  it.each([
    ['all at once', 'seq 1 50000'],
    [
      'in bursts',
      'for i in $(seq 0 49); do seq $((i*1000+1)) $((i*1000+1000)); usleep 20000; done',
    ],
  ])('finds every line once that is written in time: %s', async (how, script) => {
    const { entries, lines } = await collectLogs(host ?? '', { collection: { label } });
    const name = await run(`fast-${how.length}`, `${script}; exec sleep 600`, 5);
    await until(lines, name, 50_000);
    const { wrong, ...counts } = account(entries(name));
    expect(wrong).toEqual([]);
    expect(counts).toEqual({ found: 50_000, lost: 0, words: 0 });
  });

  it('says where lines are lost while the hub takes nothing, and doubles none', async () => {
    const options = { collection: { label }, acks: false };
    const { entries, lines, batches, ack } = await collectLogs(host ?? '', options);
    const name = await run('held', `echo 0; ${HOLD}; seq 1 400000; exec sleep 600`, 2);
    // Without a first line that was read nothing is known to be lost before the next.
    await eventually(() => expect(lines(name)).toEqual(['0']));
    await letWrite(name, 400_000);
    const acking = setInterval(() => ack(batches.length), 5);
    onTestFinished(() => clearInterval(acking));
    await until(lines, name, 400_000);
    const { found, lost, words, wrong } = account(entries(name));
    expect(wrong).toEqual([]);
    expect(words).toBeGreaterThan(0);
    expect(lost).toBeGreaterThan(0);
    expect(found + lost).toBe(1 + 400_000);
  });

  it('says where lines are lost while the agent did not run', async () => {
    const first = await collectLogs(host ?? '', { collection: { label } });
    const name = await run('away', `echo 0; ${HOLD}; seq 1 100000; exec sleep 600`, 2);
    const file = path.join(first.dataDir, 'log-positions.json');
    await eventually(async () => expect(await readFile(file, 'utf8')).toContain('stdout'));
    await first.dispose();
    await letWrite(name, 100_000);
    const { dataDir } = first;
    const second = await collectLogs(host ?? '', { collection: { label }, dataDir });
    await until(second.lines, name, 100_000);
    const { found, lost, words, wrong } = account([
      ...first.entries(name),
      ...second.entries(name),
    ]);
    expect({ words, wrong }).toEqual({ words: 1, wrong: [] });
    expect(lost).toBeGreaterThan(0);
    expect(found + lost).toBe(1 + 100_000);
  });
});

const canStartEngines = host !== undefined && isRoot() && isInstalled('dockerd');

describe.skipIf(!canStartEngines)('LogCollector of a log that rotates through restarts', () => {
  it('has each line once, though container, engine and agent are started anew', async () => {
    const own = await KillableEngine.start();
    onTestFinished(() => own[Symbol.asyncDispose]());
    await importWorkloadImage(own.host);
    const docker = (...args: string[]) => runProgram('docker', '-H', own.host, ...args);
    const first = await collectLogs(own.host, { collection: 'all' });
    const script =
      'n=$(cat /n 2>/dev/null || echo 0); while :; do echo $((n+=100)) >/n; seq $((n-99)) $n; usleep 20000; done';
    const rotation = ['--log-opt', 'max-size=1m', '--log-opt', 'max-file=10'];
    const flags = ['-d', '--name', 'counts', '--network', 'none', '--restart', 'always'];
    await docker('run', ...flags, ...rotation, WORKLOAD_IMAGE, 'sh', '-c', script);
    const more = async ({ lines }: Pick<typeof first, 'lines'>) => {
      const count = lines('counts').length + 10_000;
      await eventually(() => expect(lines('counts').length).toBeGreaterThan(count));
    };
    await more(first);
    await docker('restart', '-t', '0', 'counts');
    await more(first);
    await own.kill();
    await own.start();
    await more(first);
    await first.dispose();
    const newest = async () => Number(await docker('logs', '--tail', '1', 'counts'));
    const away = await newest();
    await eventually(async () => expect(await newest()).toBeGreaterThan(away + 1_000));
    const second = await collectLogs(own.host, { collection: 'all', dataDir: first.dataDir });
    await more(second);
    await docker('stop', '-t', '0', 'counts');
    const kept = (await docker('logs', 'counts')).trimEnd().split('\n');
    await eventually(() => expect(second.lines('counts').at(-1)).toBe(kept.at(-1)));
    // As the hub does, which knows the place of the last line that it has stored.
    const before = first.entries('counts');
    const place = ({ at, n }: Line) => BigInt(at) * 1_000n + BigInt(n);
    const last = before.at(-1);
    const after = second
      .entries('counts')
      .filter((line) => last === undefined || place(line) > place(last));
    expect([...before, ...after].map(({ text }) => text)).toEqual(kept);
  });
});
