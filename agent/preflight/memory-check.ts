import os from 'node:os';
import type { Check } from './check.ts';

const AVAILABLE_MIN_BYTES = 64 * 1024 ** 2;

/** What programs can still have without swapping. */
export async function checkMemory(availableMinBytes = AVAILABLE_MIN_BYTES): Promise<Check[]> {
  // On Linux freemem is MemAvailable of /proc/meminfo.
  const available = os.freemem();
  const ok = available >= availableMinBytes;
  const detail = `${mebibytes(available)} of ${mebibytes(os.totalmem())} available`;
  const next_step = 'Stop something that uses memory; docker.containers.stats shows how much.';
  return [{ name: 'memory', ok, detail, ...(ok ? {} : { next_step }) }];
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / 1024 ** 2)} MiB`;
}
