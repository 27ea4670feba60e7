import type { StatsFs } from 'node:fs';
import { readFile, statfs } from 'node:fs/promises';
import { METRICS_DISKS_MAX_COUNT } from '../../protocol/limits.ts';
import type { Metrics } from '../../protocol/telemetry.ts';
import { withTimeLimit } from '../time-limit.ts';
import { usageOf } from './memory-usage.ts';

type Disk = NonNullable<Metrics['disks']>[number];

const STATFS_LIMIT_MS = 1_000;
/** Each that hangs keeps one of Node's four threads for files. */
const STUCK_MAX_COUNT = 2;

type AskFileSystem = (path: string) => Promise<StatsFs>;

interface FileSystemsOptions {
  /** Where the server's root is: `/host` in the agent's container. */
  readonly root: string;
  readonly mountsFile?: string;
  readonly statfs?: AskFileSystem;
  readonly limitMs?: number;
}

/** How full the server's local file systems are, as `df` says. */
export class FileSystems {
  readonly #options: Required<FileSystemsOptions>;
  /** Those whose answer is still awaited: a disk that fails can hang for ever. */
  readonly #stuck = new Set<string>();

  constructor(options: FileSystemsOptions) {
    const { root, mountsFile = '/proc/self/mountinfo', limitMs = STATFS_LIMIT_MS } = options;
    this.#options = { statfs, ...options, root, mountsFile, limitMs };
  }

  /** One after the other, so that at most one thread waits. What does not answer is omitted. */
  async measure(signal: AbortSignal): Promise<{ disks: Disk[]; omitted: number }> {
    const { root, mountsFile } = this.#options;
    const text = await readFile(mountsFile, 'utf8').catch(() => '');
    const mounts = localMounts(text, root);
    const disks: Disk[] = [];
    for (const mount of mounts.slice(0, METRICS_DISKS_MAX_COUNT)) {
      const usage = await this.#usage(mount, signal);
      if (usage !== undefined) disks.push({ mount: shown(mount, root), ...usage });
    }
    return { disks, omitted: mounts.length - disks.length };
  }

  async #usage(mount: string, signal: AbortSignal): Promise<Metrics['disk'] | undefined> {
    if (this.#stuck.has(mount) || this.#stuck.size >= STUCK_MAX_COUNT) return undefined;
    this.#stuck.add(mount);
    const asked = diskUsage(mount, this.#options.statfs).finally(() => this.#stuck.delete(mount));
    return await withTimeLimit(this.#options.limitMs, signal, () => asked).catch(() => undefined);
  }
}

/** As psutil and df: the share is of what users may have, without the blocks reserved for root. */
export async function diskUsage(
  path: string,
  ask: AskFileSystem = statfs,
): Promise<Metrics['disk']> {
  const { bsize, blocks, bfree, bavail } = await ask(path);
  const used = (blocks - bfree) * bsize;
  return usageOf(used, blocks * bsize, used + bavail * bsize);
}

/** Of images that are always full. */
const FULL = new Set(['squashfs', 'iso9660', 'erofs', 'udf']);
/** Not of one device of /dev. */
const POOLED = new Set(['zfs', 'btrfs', 'bcachefs']);

/**
 * Mount points of proc_pid_mountinfo(5) at or under the root, each device once. No network and no FUSE
 * file systems: asking them can hang.
 */
export function localMounts(text: string, root: string): string[] {
  const byDevice = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const [, , device = '', source, point = ''] = before.split(' ');
    const [type = '', origin = ''] = after.split(' ');
    const mount = unescaped(point);
    if (!isUnder(mount, root)) continue;
    if (mount !== root && !isLocal({ type, origin, source })) continue;
    const known = byDevice.get(device);
    if (known === undefined || mount.length < known.length) byDevice.set(device, mount);
  }
  return [...byDevice.values()].toSorted();
}

function isLocal({
  type,
  origin,
  source,
}: Record<'type' | 'origin', string> & { source?: string | undefined }): boolean {
  if (POOLED.has(type)) return true;
  // Not a folder that is bound to another place.
  return (
    origin.startsWith('/dev/') && source === '/' && !type.startsWith('fuse') && !FULL.has(type)
  );
}

function isUnder(mount: string, root: string): boolean {
  return root === '/' ? mount.startsWith('/') : mount === root || mount.startsWith(`${root}/`);
}

function shown(mount: string, root: string): string {
  return root === '/' ? mount : mount.slice(root.length) || '/';
}

/** Spaces, tabs, line ends and backslashes are octal. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
