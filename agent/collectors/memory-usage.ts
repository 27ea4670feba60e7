import { readFile } from 'node:fs/promises';
import os from 'node:os';
import type { Metrics } from '../../protocol/telemetry.ts';

type Usage = Metrics['memory'];

/** Without what the system gives back at need: on Linux freemem is MemAvailable of /proc/meminfo. */
export function memoryUsage(): Usage {
  const total = os.totalmem();
  return usageOf(total - os.freemem(), total);
}

/** Undefined where the system does not say. */
export async function swapUsage(file = '/proc/meminfo'): Promise<Usage | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const [total, free] = [bytesOf(text, 'SwapTotal'), bytesOf(text, 'SwapFree')];
  return total === undefined || free === undefined ? undefined : usageOf(total - free, total);
}

function bytesOf(text: string, field: string): number | undefined {
  const kibibytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1_024;
}

/** @param whole what `used` is a share of; all there is unless some of it is reserved. */
export function usageOf(used: number, total: number, whole: number = total): Usage {
  const percent = whole > 0 ? Math.round((used / whole) * 1_000) / 10 : 0;
  return { used, total, percent: Math.min(100, Math.max(0, percent)) };
}
