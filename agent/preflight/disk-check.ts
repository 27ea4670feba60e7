import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { readReply } from '../../docker-engine/docker-reply.ts';
import { withTimeLimit } from '../time-limit.ts';
import { bounded, type Check } from './check.ts';

const FREE_MIN_BYTES = 1024 ** 3;
const FREE_MIN_SHARE = 0.05;
const ENGINE_LIMIT_MS = 3_000;
const HOST_ROOT = '/host';
const NEXT_STEP =
  'Free some space: docker.images.prune and docker.volumes.prune remove what no container uses.';

interface DiskOptions {
  readonly isContained: boolean;
  readonly hostRoot?: string;
  readonly freeMinBytes?: number;
  readonly freeMinShare?: number;
}

/** The server's root file system, and that of the engine's data where it can be seen. */
export async function checkDisks(
  engine: Pick<DockerEngine, 'request'>,
  options: DiskOptions,
  signal: AbortSignal,
): Promise<Check[]> {
  const { isContained, hostRoot = HOST_ROOT } = options;
  const isMounted = isContained && existsSync(hostRoot);
  // A container's layer lies on the engine's disk.
  const seen = isContained && !isMounted ? 'the container’s own layer' : '/';
  const prefix = isMounted ? hostRoot : '';
  const data = await dataDirectory(engine, signal).catch(() => undefined);
  const look = (name: string, label: string, directory: string): Promise<Check> =>
    bounded(name, signal, async () => describe(label, directory, options));
  const checks = [look('disk', seen, prefix || '/')];
  if (data !== undefined && existsSync(`${prefix}${data}`)) {
    checks.push(look('disk engine', data, `${prefix}${data}`));
  }
  return await Promise.all(checks);
}

async function dataDirectory(
  engine: Pick<DockerEngine, 'request'>,
  signal: AbortSignal,
): Promise<string> {
  const reply = await withTimeLimit(ENGINE_LIMIT_MS, signal, (limited) =>
    engine.request({ path: '/info', signal: limited }),
  );
  return readReply(infoSchema, reply).DockerRootDir;
}

const infoSchema = z.object({ DockerRootDir: z.string().startsWith('/') });

async function describe(
  label: string,
  directory: string,
  { freeMinBytes = FREE_MIN_BYTES, freeMinShare = FREE_MIN_SHARE }: DiskOptions,
): Promise<Omit<Check, 'name'>> {
  const { bsize, blocks, bavail } = await statfs(directory);
  const ok = bavail * bsize >= freeMinBytes || bavail >= blocks * freeMinShare;
  const detail = `${label}: ${gibibytes(bavail * bsize)} of ${gibibytes(blocks * bsize)} free`;
  return { ok, detail, ...(ok ? {} : { next_step: NEXT_STEP }) };
}

function gibibytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
