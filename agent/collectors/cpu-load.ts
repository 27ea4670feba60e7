import { readFile } from 'node:fs/promises';
import os from 'node:os';
import { METRICS_CORES_MAX_COUNT } from '../../protocol/limits.ts';

/** Time that processors spent since the system started, in units of the system's own. */
export interface CpuTimes {
  readonly all: Times;
  readonly cores: readonly Times[];
}

interface Times {
  readonly busy: number;
  readonly total: number;
}

/** Waiting for a disk counts as idle, time taken by other guests of the machine as busy. */
export async function readCpuTimes(file = '/proc/stat'): Promise<CpuTimes> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return (text === undefined ? undefined : parseCpuTimes(text)) ?? timesOfNode();
}

/** /proc/stat, as in proc_stat(5). */
export function parseCpuTimes(text: string): CpuTimes | undefined {
  let all: Times | undefined;
  const cores: Times[] = [];
  for (const [, core, columns = ''] of text.matchAll(/^cpu(\d*) +(.*)$/gm)) {
    const times = timesOf(columns.split(' ').map(Number));
    if (core === '') all = times;
    else if (cores.length < METRICS_CORES_MAX_COUNT) cores.push(times);
  }
  return all && { all, cores };
}

/** user, nice, system, idle, iowait, irq, softirq, steal; what follows is part of the first two. */
function timesOf(columns: readonly number[]): Times {
  const total = columns.slice(0, 8).reduce((sum, column) => sum + column, 0);
  return { total, busy: total - (columns[3] ?? 0) - (columns[4] ?? 0) };
}

/** Systems without /proc. */
function timesOfNode(): CpuTimes {
  const cores = os.cpus().map(({ times: { user, nice, sys, irq, idle } }) => {
    const busy = user + nice + sys + irq;
    return { busy, total: busy + idle };
  });
  const sum = (pick: (times: Times) => number): number =>
    cores.reduce((total, times) => total + pick(times), 0);
  return { all: { busy: sum(({ busy }) => busy), total: sum(({ total }) => total) }, cores };
}

/** Shares in use between two readings, 0 to 100. */
export function cpuLoad(before: CpuTimes, now: CpuTimes): { all: number; cores: number[] } {
  // A processor that was added or taken away in between shifts the others: no shares of each then.
  const isSame = before.cores.length === now.cores.length;
  return {
    all: share(before.all, now.all),
    cores: isSame ? now.cores.map((times, core) => share(before.cores[core] ?? times, times)) : [],
  };
}

/** Counters go backwards when a processor is taken away. */
function share(before: Times, now: Times): number {
  const total = now.total - before.total;
  if (total <= 0) return 0;
  const percent = ((now.busy - before.busy) / total) * 100;
  return Math.min(100, Math.max(0, Math.round(percent * 10) / 10));
}
