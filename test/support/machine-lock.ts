import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 100;

/**
 * Lets one process of this machine at a time do `work` of this name. The lock is a Linux abstract
 * socket, which the kernel frees however its process ends.
 */
export async function withMachineLock<T>(name: string, work: () => Promise<T>): Promise<T> {
  const lock = createServer();
  for (;;) {
    lock.listen(`\0tomo-test-${name}`);
    const taken = await once(lock, 'listening').then(
      () => false,
      () => true,
    );
    if (!taken) break;
    await delay(POLL_MS);
  }
  try {
    return await work();
  } finally {
    lock.close();
  }
}
