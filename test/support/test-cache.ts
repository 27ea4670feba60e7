import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** What takes long to make and serves many runs: TOMO_TEST_CACHE, else ~/.cache/tomo-test. */
export function testCachePath(file: string): string {
  return join(cacheFolder(), file);
}

export async function makeTestCache(): Promise<string> {
  const folder = cacheFolder();
  await mkdir(folder, { recursive: true });
  return folder;
}

function cacheFolder(): string {
  return process.env['TOMO_TEST_CACHE'] || join(homedir(), '.cache', 'tomo-test');
}
