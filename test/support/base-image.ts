import { existsSync, readFileSync } from 'node:fs';
import { copyFile, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { requirePart } from './docker-engine.ts';
import { hasImage, importImage } from './import-image.ts';
import { isInstalled, isRoot } from './installed.ts';
import { withMachineLock } from './machine-lock.ts';
import { runProgram } from './run-program.ts';
import { makeTestCache, testCachePath } from './test-cache.ts';

/** The name of the agent image's base, under which the stand-in for it is imported. */
export const BASE_IMAGE = 'node:24-bookworm-slim';

const SUITE = 'bookworm';
const PACKAGES = ['tmux', 'openssh-client', 'util-linux'];
const CHANGES = [
  'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  'CMD ["node"]',
];
const NODE_PACKAGE = new URL(
  `../../node_modules/node-linux-${process.arch}/package.json`,
  import.meta.url,
);
const CANNOT_BE_MADE =
  'no base image (install debootstrap, run as root on Linux with the node-linux package)';
/** Of the Debian system; nothing that programs need to run. */
const SURPLUS = [
  'usr/share/doc',
  'usr/share/man',
  'usr/share/locale',
  'var/lib/apt/lists',
  'var/cache/apt',
];

/**
 * Whether the base image can be had; else a loud line that tests are skipped.
 * @throws Error if it cannot though TOMO_TEST_REQUIRE names baseimage
 */
export function requireBaseImage(): true | undefined {
  const possible = existsSync(NODE_PACKAGE) && (existsSync(tarPath()) || canBootstrap());
  return requirePart('baseimage', possible || undefined, CANNOT_BE_MADE);
}

/**
 * Puts a stand-in for the agent image's base into an engine that has no image of that name: Debian
 * with Node, tmux and ssh. It is made once (half a minute) and kept in the cache. True if the engine
 * did not have it.
 */
export async function importBaseImage(host: string, name = BASE_IMAGE): Promise<boolean> {
  return await withMachineLock('base-image', async () => {
    if (await hasImage(host, name)) return false;
    if (!existsSync(tarPath())) await makeTar(tarPath());
    await importImage(host, tarPath(), name, CHANGES);
    return true;
  });
}

function canBootstrap(): boolean {
  return isRoot() && isInstalled('debootstrap');
}

function tarPath(): string {
  return testCachePath(`${SUITE}-node-${nodeVersion()}-${process.arch}.tar`);
}

function nodeVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(NODE_PACKAGE, 'utf8'));
  return z.object({ version: z.string() }).parse(manifest).version;
}

async function makeTar(target: string): Promise<void> {
  const directory = await mkdtemp(join(await makeTestCache(), 'making-'));
  try {
    const root = join(directory, 'root');
    const include = `--include=${PACKAGES.join(',')}`;
    await runProgram('debootstrap', '--variant=minbase', include, SUITE, root, ...(await mirror()));
    for (const path of SURPLUS) await rm(join(root, path), { recursive: true, force: true });
    const node = fileURLToPath(new URL('bin/node', NODE_PACKAGE));
    await copyFile(node, join(root, 'usr/local/bin/node'));
    const tar = join(directory, 'root.tar');
    await runProgram('tar', '-C', root, '-cf', tar, '.');
    await rename(tar, target);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The Debian mirror that this machine is set to; none if it is another distribution. */
async function mirror(): Promise<string[]> {
  const format = ['--format', '$(REPO_URI) $(RELEASE)'];
  const filter = ['Created-By: Packages', 'Component: main'];
  const targets = await runProgram('apt-get', 'indextargets', ...format, ...filter);
  const line = targets.split('\n').find((candidate) => candidate.endsWith(` ${SUITE}`));
  return line === undefined ? [] : [line.replace(` ${SUITE}`, '')];
}
