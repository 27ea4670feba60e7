import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';

/** One process as /proc/PID/stat shows it (proc_pid_stat(5)). */
export interface ProcessStat {
  readonly pid: number;
  readonly ppid: number;
  readonly name: string;
  readonly state: string;
  /** Time on processors so far, in ticks. */
  readonly ticks: number;
  /** When it started, in ticks since the machine did. */
  readonly startTicks: number;
  readonly pages: number;
  /** By the agent's own clock. */
  readonly readAtMs: number;
}

// Few at one time: the agent has other files to read.
const READS_AT_ONCE = 64;
const PID = /^\d+$/;

/** The ids of all processes, in ascending order. Rejects where there is no /proc. */
export async function processIds(procRoot: string): Promise<number[]> {
  const names = await readdir(procRoot);
  return names
    .filter((name) => PID.test(name))
    .map(Number)
    .toSorted((a, b) => a - b);
}

/** What they are at this moment; those that have ended are left out. */
export async function readStats(
  procRoot: string,
  pids: readonly number[],
  signal: AbortSignal,
): Promise<ProcessStat[]> {
  const found: ProcessStat[] = [];
  for (let at = 0; at < pids.length; at += READS_AT_ONCE) {
    signal.throwIfAborted();
    const batch = pids.slice(at, at + READS_AT_ONCE);
    const stats = await Promise.all(batch.map((pid) => readStat(procRoot, pid)));
    found.push(...stats.filter((stat) => stat !== undefined));
    await turn();
  }
  return found;
}

async function readStat(procRoot: string, pid: number): Promise<ProcessStat | undefined> {
  const file = path.join(procRoot, String(pid), 'stat');
  return parseStat(await readFile(file, 'utf8').catch(() => ''));
}

/** The name may hold spaces and brackets: the last bracket is the one that ends it. */
function parseStat(text: string): ProcessStat | undefined {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  if (open < 0 || close < open) return undefined;
  const fields = text.slice(close + 2).split(' ');
  // proc_pid_stat(5) counts from 1, and the state behind the name is its third.
  const field = (number: number): number => Number(fields[number - 3]);
  return {
    pid: Number(text.slice(0, open)),
    ppid: field(4),
    name: text.slice(open + 1, close),
    state: fields[0] ?? '',
    ticks: field(14) + field(15),
    startTicks: field(22),
    pages: field(24),
    readAtMs: performance.now(),
  };
}
