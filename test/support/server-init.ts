import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { sshdConfigPath } from './server-ssh.ts';

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const START_TIMEOUT_MS = 20_000;
const POLL_MS = 20;

export interface InitOptions {
  readonly directory: string;
  readonly name: string;
  /** The network namespace to live in. */
  readonly namespaceFile: string;
  /** Whether the server has the docker command and engine. */
  readonly docker: boolean;
}

/** Starts process 1 of a server in namespaces of its own; its pid, when its SSH server listens. */
export async function startInit(options: InitOptions): Promise<number> {
  const { directory, namespaceFile } = options;
  const script = join(directory, 'init.sh');
  await writeFile(join(directory, 'machine-id'), `${randomBytes(16).toString('hex')}\n`);
  await writeFile(script, initScript(options));
  const log = await open(join(directory, 'init.log'), 'a');
  // Not `ip netns exec`: its fresh /sys hides the cgroups, and no engine starts.
  const apart = ['unshare', '-mpui', '--fork', '--mount-proc', '--kill-child', 'bash', script];
  const child = spawn('nsenter', [`--net=${namespaceFile}`, ...apart], {
    // Outlives the process that starts it, for servers that people try things on.
    detached: true,
    cwd: '/',
    env: { PATH, HOME: '/root' },
    stdio: ['ignore', log.fd, log.fd],
  });
  await once(child, 'spawn');
  await log.close();
  child.unref();
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!existsSync(readyFile(directory))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      throw new Error(`server: ${await readFile(join(directory, 'init.log'), 'utf8')}`);
    }
    await delay(POLL_MS);
  }
  return await onlyChild(child.pid ?? -1);
}

/** Arguments of `nsenter` with which a command runs in all namespaces of a server. */
export function enterServer(initPid: number, command: string): string[] {
  const clean = ['env', '-i', `PATH=${PATH}`, 'HOME=/root', 'sh', '-c', command];
  return ['-t', String(initPid), '-m', '-u', '-i', '-n', '-p', ...clean];
}

function readyFile(directory: string): string {
  return join(directory, 'ready');
}

function initScript({ directory, name, docker }: InitOptions): string {
  return `set -e
hostname ${name}
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/sshd /run/lock
mount --bind ${directory}/machine-id /etc/machine-id
${docker ? '' : hideDocker()}
"$(command -v sshd)" -f ${sshdConfigPath(directory)}
# It goes into the background before it listens, and writes this after.
while [ ! -e /run/sshd.pid ]; do sleep 0.02; done
touch ${readyFile(directory)}
# bash reaps what is orphaned while it waits.
while :; do sleep infinity & wait $! || true; done
`;
}

/** A device is no program: neither shell finds the command. */
function hideDocker(): string {
  return `for program in $(type -aP docker dockerd podman); do
  mount --bind /dev/null "$program"
done`;
}

async function onlyChild(pid: number): Promise<number> {
  return Number((await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim());
}
