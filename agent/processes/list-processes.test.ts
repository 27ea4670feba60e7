import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CATALOGUE, type ParamsInputOf } from '../../protocol/commands/catalogue.ts';
import { listProcesses, type ProcessSource } from './list-processes.ts';

const { params: schema, result: resultSchema } = CATALOGUE['system.processes'];

/** In no command line of another test. */
const SECRET = 'jMqVb3wT9z';

/** Thousands of files take long on a disk. */
const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

async function list(
  params: ParamsInputOf<'system.processes'> = {},
  source?: ProcessSource,
  signal = new AbortController().signal,
) {
  return resultSchema.parse(await listProcesses(schema.parse(params), 'host', signal, source));
}

describe.skipIf(process.platform !== 'linux')('the processes of this machine', () => {
  const children: ChildProcess[] = [];
  afterEach(() => {
    // With what their shells have started.
    for (const { pid } of children.splice(0)) if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  });

  async function start(script: string): Promise<number> {
    const child = spawn('sh', ['-c', `echo; ${script}`], {
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    });
    children.push(child);
    await once(child.stdout, 'data');
    return child.pid ?? -1;
  }

  it('are shown as the kernel knows them, without their arguments', async () => {
    const pid = await start(`sleep 300; : password=${SECRET}`);
    // The shell runs for a moment yet after it has said something.
    const found = await vi.waitFor(async () => {
      const listed = await list({ limit: 1_000, sort: 'pid' });
      expect(listed.processes.find((one) => one.pid === pid)).toMatchObject({
        ppid: process.pid,
        name: 'sh',
        state: 'sleeping',
      });
      return listed;
    });
    const shown = found.processes.find((one) => one.pid === process.pid);
    expect(shown).toMatchObject({ ppid: process.ppid, user: userInfo().username });
    expect(Math.abs(Number(shown?.rss) / process.memoryUsage.rss() - 1)).toBeLessThan(0.5);
    const startedMs = Date.now() - process.uptime() * 1_000;
    expect(Math.abs(Date.parse(shown?.started ?? '') - startedMs)).toBeLessThan(10_000);
    expect(JSON.stringify(found)).not.toContain(SECRET);
  });

  it('are shown with their command lines when asked in full', async () => {
    const pid = await start(`sleep 300; : password=${SECRET}`);
    const found = await list({ full: true, filter: SECRET.toUpperCase() });
    expect(found.processes).toMatchObject([
      { pid, command_line: expect.stringContaining(`password=${SECRET}`) },
    ]);
    expect(await list({ filter: SECRET })).toMatchObject({ matching: 0, processes: [] });
  });

  it('are sorted by what they use', async () => {
    const idle = await start('sleep 300; : sorted');
    const busy = await start('while :; do : sorted; done');
    const { processes } = await list({ full: true, filter: ': sorted' });
    expect(processes.map(({ pid }) => pid)).toEqual([busy, idle]);
    expect(processes[0]?.cpu_percent).toBeGreaterThan(0);
    const sizes = (await list({ sort: 'memory' })).processes.map(({ rss }) => rss);
    expect(sizes[0]).toBeGreaterThanOrEqual(sizes.at(-1) ?? 0);
    const ids = (await list({ sort: 'pid' })).processes.map(({ pid }) => pid);
    expect(ids).toEqual(ids.toSorted((a, b) => a - b));
  });

  it('are shown below their parents as a tree', async () => {
    const pid = await start('sleep 300; :');
    // Its child is a shell, too, until it has become what it runs.
    await vi.waitFor(async () => {
      const { processes } = await list({ tree: true, filter: 'sleep', limit: 1_000 });
      const at = processes.findIndex((one) => one.pid === pid);
      const parent = processes.findIndex((one) => one.pid === process.pid);
      expect(processes[at + 1]).toMatchObject({ ppid: pid, name: 'sleep' });
      expect(parent).toBeLessThan(at);
      expect(processes[at]?.depth).toBe((processes[parent]?.depth ?? Number.NaN) + 1);
    });
  });
});

describe('a /proc', () => {
  let procRoot = '';
  let source: ProcessSource;
  beforeEach(async () => {
    procRoot = await mkdtemp(path.join(MEMORY, 'tomo-proc-'));
    await writeFile(path.join(procRoot, 'stat'), 'cpu 1\nbtime 1000\n');
    await writeFile(
      path.join(procRoot, 'passwd'),
      'root:x:0:0::/:/bin/sh\nalias:x:0:0::/:/bin/sh\n',
    );
    const passwdFiles = [path.join(procRoot, 'absent'), path.join(procRoot, 'passwd')];
    source = { procRoot, passwdFiles, spanMs: 1, maxCount: 20_000 };
  });
  afterEach(async () => {
    await rm(procRoot, { recursive: true });
  });

  interface Fake {
    readonly name?: string;
    readonly ppid?: number;
    readonly uid?: number;
    readonly pages?: number;
    readonly commandLine?: string;
    readonly exe?: string;
    /** Only what is read of every process. */
    readonly isBare?: boolean;
  }

  function add(pid: number, fake: Fake = {}): void {
    const { name = 'fake', ppid = 1, uid = 0, pages = 1, commandLine = '', exe, isBare } = fake;
    const directory = path.join(procRoot, String(pid));
    mkdirSync(directory);
    const zeros = '0 '.repeat(9);
    const stat = `${pid} (${name}) S ${ppid} ${zeros}5 5 0 0 20 0 1 0 200 4096 ${pages} 0\n`;
    writeFileSync(path.join(directory, 'stat'), stat);
    if (isBare) return;
    writeFileSync(path.join(directory, 'cmdline'), commandLine);
    if (exe !== undefined) symlinkSync(exe, path.join(directory, 'exe'));
    const status = `Uid:\t9\t${uid}\t0\t0\nVmRSS:\t   ${pages * 4} kB\n`;
    writeFileSync(path.join(directory, 'status'), status);
  }

  it('is read whatever names processes give themselves', async () => {
    add(7, { name: 'a) S 1 (b c', pages: 3 });
    expect((await list({}, source)).processes).toEqual([
      {
        pid: 7,
        ppid: 1,
        user: 'root',
        name: 'a) S 1 (b c',
        state: 'sleeping',
        cpu_percent: 0,
        rss: 12_288,
        started: new Date(1_002_000).toISOString(),
      },
    ]);
  });

  it('shows which programs run under other names, and finds them by both', async () => {
    add(7, { name: 'MainThread', exe: '/opt/bin/node (deleted)' });
    add(8, { name: 'nginx', exe: '/usr/sbin/nginx' });
    const { processes } = await list({ sort: 'pid' }, source);
    expect(processes.map(({ name, program }) => [name, program])).toEqual([
      ['MainThread', 'node'],
      ['nginx', undefined],
    ]);
    for (const filter of ['NODE', 'main']) {
      expect((await list({ filter }, source)).processes).toMatchObject([{ pid: 7 }]);
    }
  });

  it('shows users without a name by their number', async () => {
    add(7, { uid: 4_711 });
    expect((await list({}, source)).processes).toMatchObject([{ user: '4711' }]);
    const nobody = await list({}, { ...source, passwdFiles: [] });
    expect(nobody.processes).toMatchObject([{ user: '4711' }]);
  });

  it('leaves out what ends while it is read', async () => {
    add(7);
    await mkdir(path.join(procRoot, '8'));
    add(9);
    await rm(path.join(procRoot, '9', 'status'));
    const { processes } = await list({}, source);
    expect(processes.map(({ pid }) => pid)).toEqual([7]);
  });

  it('keeps command lines short', async () => {
    add(7, { commandLine: `prog\0${'x'.repeat(100_000)}\0` });
    add(8, { commandLine: 'prog\0-v\0' });
    const { processes } = await list({ full: true, sort: 'pid' }, source);
    expect(processes[0]?.command_line).toMatch(/^prog x+…$/);
    expect(processes[0]?.command_line?.length).toBeLessThan(5_000);
    expect(processes[1]?.command_line).toBe('prog -v');
  });

  it('of 10,000 processes is answered within the limit, as a list and as a tree', async () => {
    const pids = Array.from({ length: 10_000 }, (_, at) => at + 1);
    for (const pid of pids) add(pid, { ppid: pid - 1, pages: pid, isBare: pid <= 9_000 });
    const found = await list({ limit: 10 }, source);
    expect(found).toMatchObject({ total: 10_000, matching: 10_000 });
    expect(found.processes.map(({ pid }) => pid)).toEqual(
      Array.from({ length: 10 }, (_, at) => 10_000 - at),
    );
    // Each is the other's parent: the line of the first fills the answer.
    const tree = await list({ limit: 1_000, tree: true }, source);
    expect(tree.processes).toHaveLength(1_000);
    expect(tree.processes.at(-1)).toMatchObject({ pid: 10_000, depth: 999 });
  });

  it('with more processes than are looked at says how many there are', async () => {
    for (const pid of [9, 100, 11, 10]) add(pid);
    const found = await list({ sort: 'pid' }, { ...source, maxCount: 3 });
    expect(found.total).toBe(4);
    expect(found.processes.map(({ pid }) => pid)).toEqual([9, 10, 11]);
  });

  it('is not read on when the caller gives up', async () => {
    add(7);
    const reason = new Error('cancelled');
    const signal = AbortSignal.abort(reason);
    await expect(list({}, source, signal)).rejects.toBe(reason);
    const controller = new AbortController();
    const waiting = list({}, { ...source, spanMs: 60_000 }, controller.signal);
    setImmediate(() => controller.abort(reason));
    await expect(waiting).rejects.toBe(reason);
  });

  it('that is not there is said to be missing', async () => {
    const nowhere = { ...source, procRoot: path.join(procRoot, 'absent') };
    await expect(list({}, nowhere)).rejects.toMatchObject({ name: 'METHOD_NOT_FOUND' });
  });
});
