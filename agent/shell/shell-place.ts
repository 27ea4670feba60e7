import { existsSync } from 'node:fs';
import { readlink } from 'node:fs/promises';
import { type Access, grants } from '../../protocol/access.ts';
import type { ExecScope } from '../../protocol/commands/system.ts';
import { runShell } from './host-shell.ts';

/** Where `system.exec` runs its commands. */
export interface ShellPlace {
  readonly scope: ExecScope;
  /** Program and arguments that lead there; none where the agent itself is. */
  readonly entrance: readonly string[];
  /** The environment commands start from there. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface ShellPlaceOptions {
  readonly isInContainer: boolean;
  readonly access: Access;
  /** The agent's own, less its settings and secrets. */
  readonly environment: Readonly<Record<string, string>>;
  /** The process whose namespaces are the server's. */
  readonly target?: number;
  /** Where the server's file system is mounted. */
  readonly hostRoot?: string;
}

const PROBE_TIMEOUT_MS = 5_000;
// What Debian and Fedora give root; snap's, because that is where Ubuntu users may have docker.
const SERVER_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin';

/**
 * Finds out from inside a container how commands get to the server: into the namespaces of its
 * process 1, else into its file system, else not at all. Without the access that commands need,
 * nothing is tried.
 */
export async function findShellPlace(options: ShellPlaceOptions): Promise<ShellPlace> {
  const { isInContainer, access, environment, target = 1, hostRoot = '/host' } = options;
  if (isInContainer && grants(access, 'admin')) {
    const host = { scope: 'host', entrance: nsenter(target) } as const;
    const chroot = { scope: 'chroot', entrance: ['/usr/sbin/chroot', hostRoot] } as const;
    const isOutside = await isOtherMountNamespace(target);
    const place =
      (isOutside ? await tryPlace(host) : undefined) ??
      (existsSync(hostRoot) ? await tryPlace(chroot) : undefined);
    if (place !== undefined) return place;
  }
  return { scope: isInContainer ? 'container' : 'host', entrance: [], environment };
}

/**
 * Not the process namespace: a process that is 1 to the agent is in the agent's, and entering it
 * would put a process between the agent and the shell.
 */
function nsenter(target: number): string[] {
  const namespaces = ['--mount', '--uts', '--ipc', '--net'];
  return ['/usr/bin/nsenter', '--target', String(target), ...namespaces, '--'];
}

/** Without --pid=host process 1 is the container's own; without SYS_PTRACE nobody may look. */
async function isOtherMountNamespace(target: number): Promise<boolean> {
  const [theirs, ours] = await Promise.all(
    [target, 'self'].map((pid) => readlink(`/proc/${pid}/ns/mnt`).catch(() => undefined)),
  );
  return theirs !== undefined && theirs !== ours;
}

async function tryPlace(
  place: Pick<ShellPlace, 'scope' | 'entrance'>,
): Promise<ShellPlace | undefined> {
  try {
    const { stdout, exit_code } = await runShell({
      command: 'echo ~root',
      cwd: '/',
      entrance: place.entrance,
      environment: { PATH: SERVER_PATH },
      timeoutMs: PROBE_TIMEOUT_MS,
      signal: new AbortController().signal,
    });
    return exit_code === 0 ? { ...place, environment: rootEnvironment(stdout.trim()) } : undefined;
  } catch {
    return undefined;
  }
}

/** Nothing of the container's: its PATH and HOME mean nothing on the server. */
function rootEnvironment(home: string): Record<string, string> {
  const HOME = home.startsWith('/') ? home : '/';
  return { PATH: SERVER_PATH, HOME, USER: 'root', LOGNAME: 'root' };
}
