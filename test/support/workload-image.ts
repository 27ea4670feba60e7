import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { dockerOptions } from '../../docker-engine/docker-address.ts';
import { hasImage, importImage } from './import-image.ts';

const run = promisify(execFile);

/** An image of busybox alone, with the users root and app (1000); sleeps unless told otherwise. */
export const WORKLOAD_IMAGE = 'tomo-test/busybox:latest';

const BUSYBOX = ['/bin/busybox', '/usr/bin/busybox'];
const PASSWD = 'root:x:0:0:root:/:/bin/sh\napp:x:1000:1000:app:/tmp:/bin/sh\n';

/** Makes the workload image in an engine; no registry is needed. True if it did not have it. */
export async function importWorkloadImage(host: string): Promise<boolean> {
  if (await hasImage(host, WORKLOAD_IMAGE)) return false;
  const directory = await mkdtemp(join(tmpdir(), 'tomo-image-'));
  try {
    const tar = await makeRoot(directory);
    await importImage(host, tar, WORKLOAD_IMAGE, ['CMD ["sleep","86400"]', 'ENV PATH=/bin']);
    await tryOut(new Docker(dockerOptions(host)));
    return true;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** A busybox that is not linked statically does not run on its own. */
async function tryOut(docker: Docker): Promise<void> {
  const container = await docker.createContainer({ Image: WORKLOAD_IMAGE, Cmd: ['true'] });
  const status = await container
    .start()
    .then(() => container.wait() as Promise<{ StatusCode: number }>)
    .then(({ StatusCode }) => StatusCode)
    .catch(String);
  await container.remove({ force: true });
  if (status === 0) return;
  await docker.getImage(WORKLOAD_IMAGE).remove({ force: true });
  throw new Error(`busybox does not run in a container (${status}): install busybox-static`);
}

async function makeRoot(directory: string): Promise<string> {
  const root = join(directory, 'root');
  for (const folder of ['bin', 'etc', 'tmp', 'proc']) {
    await mkdir(join(root, folder), { recursive: true });
  }
  const busybox = join(root, 'bin', 'busybox');
  await copyFirst(BUSYBOX, busybox);
  const { stdout } = await run(busybox, ['--list']);
  for (const applet of stdout.trim().split('\n')) {
    if (applet !== 'busybox') await symlink('busybox', join(root, 'bin', applet));
  }
  await writeFile(join(root, 'etc', 'passwd'), PASSWD);
  const tar = join(directory, 'root.tar');
  await run('tar', ['-C', root, '-cf', tar, '.']);
  return tar;
}

async function copyFirst(candidates: readonly string[], target: string): Promise<void> {
  for (const candidate of candidates) {
    try {
      return await copyFile(candidate, target);
    } catch {
      // The next one may be there.
    }
  }
  throw new Error(`no busybox at ${candidates.join(' or ')}: install busybox-static`);
}
