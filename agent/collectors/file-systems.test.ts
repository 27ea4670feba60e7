import { writeFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { FileSystems, localMounts } from './file-systems.ts';

const open = new AbortController().signal;

const MOUNTS = `25 1 8:1 / /host rw - ext4 /dev/sda1 rw
26 25 0:5 / /host/proc rw - proc proc rw
27 25 0:30 / /host/run rw - tmpfs tmpfs rw
28 25 8:2 / /host/home\\040dir rw master:1 - xfs /dev/sda2 rw
29 25 8:2 /docs /host/srv rw - xfs /dev/sda2 rw
30 25 0:40 / /host/mnt/nfs rw - nfs4 nas:/x rw
31 25 0:41 / /host/mnt/phone rw - fuse.sshfs /dev/fuse rw
32 25 7:1 / /host/snap/core ro - squashfs /dev/loop1 ro
33 25 0:50 /@home /host/pool rw - btrfs /dev/sdb rw
34 25 0:51 / /host/tank rw - zfs tank rw
35 1 8:9 / /etc/hosts rw - ext4 /dev/sdz rw
36 1 8:9 / /hosted rw - ext4 /dev/sdz rw
`;

it('finds the local file systems below the server’s root, each device once', () => {
  expect(localMounts(MOUNTS, '/host')).toEqual([
    '/host',
    '/host/home dir',
    '/host/pool',
    '/host/tank',
  ]);
});

it('takes the root whatever it is on', () => {
  expect(localMounts('1 0 0:9 / / rw - overlay overlay rw\n\n', '/')).toEqual(['/']);
});

function mountsFile(lines: string[]): string {
  const file = path.join(os.tmpdir(), `tomo-mounts-${process.pid}-${lines.length}`);
  const rows = lines.map((point, n) => `1 0 8:${n} / ${point} rw - ext4 /dev/sd${n} rw`);
  writeFileSync(file, rows.join('\n'));
  return file;
}

it('omits file systems that do not answer, and asks no more once two hang', async () => {
  const asked: string[] = [];
  const released = Promise.withResolvers<undefined>();
  const systems = new FileSystems({
    root: '/',
    limitMs: 10,
    mountsFile: mountsFile(['/a', '/b', '/c', '/d']),
    statfs: async (mount) => {
      asked.push(mount);
      if (mount !== '/a') await released.promise;
      return await statfs('/');
    },
  });
  const first = await systems.measure(open);
  expect(first.disks.map(({ mount }) => mount)).toEqual(['/a']);
  expect(first.omitted).toBe(3);
  expect(asked).toEqual(['/a', '/b', '/c']);
  expect(await systems.measure(open)).toMatchObject({ disks: [], omitted: 4 });
  expect(asked).toHaveLength(3);
  released.resolve(undefined);
  await new Promise(setImmediate);
  await expect.poll(async () => (await systems.measure(open)).disks).toHaveLength(4);
});

it('names at most 64 and counts the others', async () => {
  const points = Array.from({ length: 70 }, (_, n) => `/m${n}`);
  const answer = await statfs('/');
  const systems = new FileSystems({
    root: '/',
    mountsFile: mountsFile(points),
    statfs: async () => answer,
  });
  const { disks, omitted } = await systems.measure(open);
  expect([disks.length, omitted]).toEqual([64, 6]);
});

it('knows none where the system does not list them', async () => {
  const systems = new FileSystems({ root: '/', mountsFile: '/absent' });
  expect(await systems.measure(open)).toEqual({ disks: [], omitted: 0 });
});
