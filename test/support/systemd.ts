import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { isInstalled, isRoot } from './installed.ts';

/** A systemd of a user's kind in namespaces of its own, for machines that systemd did not start. */
export interface Systemd extends AsyncDisposable {
  /** Program and arguments that lead there, and run what follows them. */
  readonly entrance: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

const MANAGER = '/lib/systemd/systemd';
const RUNTIME = '/run/tomo-systemd';
const PROGRAMS = ['unshare', 'nsenter', 'systemctl'];
const START_TIMEOUT_MS = 15_000;

// A service that runs and one that failed; systemctl there speaks of this manager.
const SCRIPT = `set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /run/bin ${RUNTIME}
chmod 700 ${RUNTIME}
export XDG_RUNTIME_DIR=${RUNTIME}
cat > /run/bin/systemctl << END
#!/bin/sh
# A manager without a message bus drops connections now and then.
for try in 1 2 3 4 5 6 7 8 9 10; do
  said=\\$($(command -v systemctl) --user "\\$@" 2>&1) && break
done
code=\\$?
printf '%s\\n' "\\$said"
exit \\$code
END
chmod 755 /run/bin/systemctl
if ! [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  mkdir /sys/fs/cgroup/systemd
  mount -t cgroup -o none,name=systemd systemd /sys/fs/cgroup/systemd
  mkdir -p /sys/fs/cgroup/systemd/tomo
  echo $$ > /sys/fs/cgroup/systemd/tomo/cgroup.procs
fi
mkdir -p ${RUNTIME}/systemd/user
printf '[Service]\\nExecStart=sleep 600\\n' > ${RUNTIME}/systemd/user/tomo-good.service
printf '[Service]\\nExecStart=sh -c "exit 7"\\n' > ${RUNTIME}/systemd/user/tomo-bad.service
${MANAGER} --user &
until /run/bin/systemctl is-system-running | grep -Eq 'running|degraded'; do sleep 0.1; done
/run/bin/systemctl start --no-block tomo-good tomo-bad
until /run/bin/systemctl is-failed tomo-bad; do sleep 0.1; done
echo ready
wait
`;

/** Undefined where it cannot be had. */
export async function startSystemd(): Promise<Systemd | undefined> {
  if (!isRoot() || !existsSync(MANAGER) || !isInstalled(...PROGRAMS)) return undefined;
  const apart = ['-mpf', '--mount-proc', '--kill-child', 'sh', '-c', SCRIPT];
  const child = spawn('unshare', apart, { stdio: ['ignore', 'pipe', 'ignore'] });
  const target = (await isReady(child)) ? child.pid : undefined;
  if (target === undefined) {
    child.kill('SIGKILL');
    return undefined;
  }
  return {
    entrance: ['nsenter', '--target', String(target), '--mount', '--'],
    environment: {
      PATH: '/run/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      XDG_RUNTIME_DIR: RUNTIME,
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
  };
}

async function isReady(child: ChildProcess): Promise<boolean> {
  const signal = AbortSignal.timeout(START_TIMEOUT_MS);
  try {
    if (child.stdout === null) return false;
    const lines = createInterface({ input: child.stdout, signal });
    for await (const line of lines) if (line.startsWith('ready')) return true;
    return false;
  } catch {
    return false;
  }
}
