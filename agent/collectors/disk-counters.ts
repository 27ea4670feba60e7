import { readFile } from 'node:fs/promises';

export interface DiskCounters {
  readonly read: number;
  readonly write: number;
}

// Of /proc/diskstats, whatever the disk's own sectors are.
const SECTOR_BYTES = 512;
/** Memory, images, removable media, and devices made of others, which count the same again. */
const NOT_A_DISK = /^(?:ram|loop|zram|sr|fd|dm-|md|nbd|drbd|zd)/;

/** Bytes by disk since the system started; empty where the system does not say. */
export async function readDisks(file = '/proc/diskstats'): Promise<Map<string, DiskCounters>> {
  return parseDisks(await readFile(file, 'utf8').catch(() => ''));
}

/** Whole disks of /proc/diskstats (Documentation/admin-guide/iostats of the kernel). */
export function parseDisks(text: string): Map<string, DiskCounters> {
  const disks = new Map<string, DiskCounters>();
  for (const line of text.split('\n')) {
    const [, , name = '', , , read, , , , write] = line.trim().split(/\s+/);
    if (read === undefined || write === undefined || NOT_A_DISK.test(name)) continue;
    // A disk comes before its partitions.
    if (isPartition(name, disks)) continue;
    disks.set(name, { read: Number(read) * SECTOR_BYTES, write: Number(write) * SECTOR_BYTES });
  }
  return disks;
}

/** sda1 of sda, nvme0n1p2 of nvme0n1; an xvda1 without xvda is a disk. */
function isPartition(name: string, disks: ReadonlyMap<string, DiskCounters>): boolean {
  const disk = /^(.*\d)p\d+$/.exec(name)?.[1] ?? /^(.*\D)\d+$/.exec(name)?.[1];
  return disk !== undefined && disks.has(disk);
}
