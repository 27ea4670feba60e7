import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { ParamsOf, ResultOf } from '../../protocol/commands/catalogue.ts';
import { TomoError } from '../../protocol/errors.ts';
import { pause } from '../pause.ts';
import { readCommandLine, readDetails, readProgram, readUsers } from './process-details.ts';
import { type ProcessStat, processIds, readStats } from './process-table.ts';
import { inTreeOrder, withAncestors } from './process-tree.ts';

type Params = ParamsOf<'system.processes'>;
type Answer = ResultOf<'system.processes'>;

export interface ProcessSource {
  readonly procRoot: string;
  /** Where users have their names, in order of preference. */
  readonly passwdFiles: readonly string[];
  readonly spanMs: number;
  /** Past this many, those of the highest ids are not looked at. */
  readonly maxCount: number;
}

const SERVER: ProcessSource = {
  procRoot: '/proc',
  passwdFiles: ['/host/etc/passwd', '/etc/passwd'],
  spanMs: 500,
  maxCount: 32_768,
};
// The kernel shows times in these on every machine that Node runs on.
const TICKS_PER_SECOND = 100;
const STATES: Readonly<Record<string, string>> = {
  R: 'running',
  S: 'sleeping',
  D: 'waiting for a device',
  Z: 'zombie',
  T: 'stopped',
  t: 'traced',
  I: 'idle',
  X: 'dead',
};

/**
 * The processes that this agent sees. One that ends meanwhile is left out.
 * @throws TomoError METHOD_NOT_FOUND where there is no /proc
 */
export async function listProcesses(
  params: Params,
  scope: Answer['scope'],
  signal: AbortSignal,
  source: ProcessSource = SERVER,
): Promise<Answer> {
  const { procRoot, passwdFiles, maxCount } = source;
  const pids = await processIds(procRoot).catch((cause: unknown) => {
    throw noProc(cause);
  });
  const all = await readStats(procRoot, pids.slice(0, maxCount), signal);
  const matching = await matchesOf(all, params, procRoot, signal);
  const { chosen, usage } = await choose(all, matching, params, signal, source);
  const [users, bootedAt] = await Promise.all([readUsers(passwdFiles), bootTime(procRoot)]);

  const processes: Answer['processes'] = [];
  for (const { process, depth } of chosen) {
    const details = await readDetails(procRoot, process.pid, users, params.full);
    if (details === undefined) continue;
    processes.push({
      pid: process.pid,
      ppid: process.ppid,
      user: details.user,
      name: process.name,
      ...programField(process.name, details.program),
      state: STATES[process.state] ?? process.state,
      cpu_percent: usage.get(process.pid) ?? 0,
      rss: details.rss,
      started: new Date(bootedAt + ticksToMs(process.startTicks)).toISOString(),
      ...(depth === undefined ? {} : { depth }),
      ...(details.commandLine === undefined ? {} : { command_line: details.commandLine }),
    });
  }
  return { scope, total: pids.length, matching: matching.length, processes };
}

/** Nothing where the name says it. */
function programField(name: string, program: string | undefined): { program?: string } {
  return program === undefined || program === name ? {} : { program };
}

async function matchesOf(
  all: readonly ProcessStat[],
  { filter, full }: Params,
  procRoot: string,
  signal: AbortSignal,
): Promise<readonly ProcessStat[]> {
  if (filter === undefined) return all;
  const part = filter.toLowerCase();
  const found: ProcessStat[] = [];
  for (const process of all) {
    signal.throwIfAborted();
    const isMatch =
      process.name.toLowerCase().includes(part) ||
      (await readProgram(procRoot, process.pid))?.toLowerCase().includes(part) ||
      // Without `full` a filter would tell of a command line whether it holds a word.
      (full && (await readCommandLine(procRoot, process.pid)).toLowerCase().includes(part));
    if (isMatch) found.push(process);
  }
  return found;
}

interface Choice {
  readonly chosen: readonly { readonly process: ProcessStat; readonly depth?: number }[];
  readonly usage: ReadonlyMap<number, number>;
}

/** Measures all where the order depends on it, else only those that are answered. */
async function choose(
  all: readonly ProcessStat[],
  matching: readonly ProcessStat[],
  { sort, limit, tree }: Params,
  signal: AbortSignal,
  source: ProcessSource,
): Promise<Choice> {
  const measured = sort === 'cpu' ? await measure(matching, signal, source) : undefined;
  const sorted = matching.toSorted((a, b) => {
    if (sort === 'pid') return a.pid - b.pid;
    const byUse = (measured?.get(b.pid) ?? 0) - (measured?.get(a.pid) ?? 0);
    return byUse || b.pages - a.pages || a.pid - b.pid;
  });
  const processes = tree ? withAncestors(sorted, all, limit) : sorted.slice(0, limit);
  return {
    chosen: tree ? inTreeOrder(processes) : processes.map((process) => ({ process })),
    usage: measured ?? (await measure(processes, signal, source)),
  };
}

/** Per cent of one processor, by process id, between what was read and a moment later. */
async function measure(
  before: readonly ProcessStat[],
  signal: AbortSignal,
  { procRoot, spanMs }: ProcessSource,
): Promise<ReadonlyMap<number, number>> {
  await pause(spanMs, signal);
  const pids = before.map(({ pid }) => pid);
  const after = new Map(
    (await readStats(procRoot, pids, signal)).map((process) => [process.pid, process]),
  );
  return new Map(
    before.flatMap((first) => {
      const second = after.get(first.pid);
      // Another one may have got its id.
      return second?.startTicks === first.startTicks ? [[first.pid, share(first, second)]] : [];
    }),
  );
}

function share(first: ProcessStat, second: ProcessStat): number {
  const spentMs = ticksToMs(second.ticks - first.ticks);
  const percent = (spentMs / (second.readAtMs - first.readAtMs)) * 100;
  return Math.max(0, Math.round(percent * 10) / 10);
}

function ticksToMs(ticks: number): number {
  return (ticks * 1_000) / TICKS_PER_SECOND;
}

/** Milliseconds since 1970. */
async function bootTime(procRoot: string): Promise<number> {
  const text = await readFile(path.join(procRoot, 'stat'), 'utf8');
  return Number(/^btime (\d+)$/m.exec(text)?.[1] ?? 0) * 1_000;
}

function noProc(cause: unknown): TomoError {
  return new TomoError(
    'METHOD_NOT_FOUND',
    'system.processes needs /proc, which this server does not have; system.exec with "ps aux" may serve.',
    { cause },
  );
}
