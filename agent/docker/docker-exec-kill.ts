import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { isMissing } from '../../docker-engine/docker-errors.ts';
import { listOf, readReply } from '../../docker-engine/docker-reply.ts';
import { NewestOutput } from '../shell/newest-output.ts';
import { createExec, execState, followExec, notStarted } from './docker-exec.ts';

const MARK_VARIABLE = 'TOMO_EXEC_ID';
// Together less than CALL_MARGIN_MS, or the hub stops waiting for the answer.
const KILL_TIMEOUT_MS = 3_000;
const LOOK_TIMEOUT_MS = 1_000;
const LOOK_POLL_MS = 100;
const PIDS_MAX_BYTES = 64 * 1024;

/** An environment variable by which the processes of one exec, and theirs, can be found again. */
export function newExecMark(): string {
  return `${MARK_VARIABLE}=${randomUUID()}`;
}

/** A running exec whose processes are to end. */
export interface MarkedExec {
  readonly id: string;
  /** From newExecMark, in the exec's environment. */
  readonly mark: string;
  readonly container: string;
  readonly user: string | undefined;
}

/**
 * Kills the processes of an exec inside its container, which the engine itself cannot do: those with
 * the mark in their environment, the exec's first process, and the descendants of both. Answers
 * whether they were seen gone.
 */
export async function killExec(docker: DockerEngine, exec: MarkedExec): Promise<boolean> {
  const signal = AbortSignal.timeout(KILL_TIMEOUT_MS);
  try {
    while (await killRound(docker, exec, signal)) {
      // A process may have forked while the round went on.
    }
    return true;
  } catch {
    // Whatever went wrong, what became of the processes is told by the container's state.
    return isContainerGone(docker, exec.container);
  }
}

/** Answers whether there was anything left to kill. */
async function killRound(
  docker: DockerEngine,
  exec: MarkedExec,
  signal: AbortSignal,
): Promise<boolean> {
  // Root may signal every process, but without the ptrace capability it cannot read the environment
  // of another user's; so that user looks first, and root kills what it found.
  const own = await sweep(docker, exec, exec.user, [], signal);
  const first = await firstProcess(docker, exec, own.heads, signal);
  const rest = await sweep(docker, exec, '0', [...own.killed, ...first], signal);
  if (own.killed.length + rest.killed.length > 0) return true;
  return (await execState(docker, exec.id, signal)).running;
}

interface Swept {
  /** Processes of the exec that were alive. */
  readonly killed: readonly string[];
  /** First processes of execs, by which exec is unknown. */
  readonly heads: readonly string[];
}

async function sweep(
  docker: DockerEngine,
  { mark, container }: MarkedExec,
  user: string | undefined,
  pids: readonly string[],
  signal: AbortSignal,
): Promise<Swept> {
  const command = ['sh', '-c', SCRIPT, 'sh', mark, ...pids];
  const output = new NewestOutput(PIDS_MAX_BYTES);
  const id = await createExec(docker, { container, user, command }, signal);
  const { exitCode } = await followExec(docker, id, signal, ({ source, data }) => {
    if (source === 'stdout') output.push(data);
  });
  const text = output.text({ cutAtEnd: false });
  if (exitCode !== 0) throw notStarted(container, text);
  const pidsAfter = (word: string) =>
    [...text.matchAll(/^(\w+) (\d+)$/gm)].flatMap(([, kind, pid]) =>
      kind === word && pid !== undefined ? [pid] : [],
    );
  return { killed: pidsAfter('killed'), heads: pidsAfter('head') };
}

const containerSchema = z.object({
  ExecIDs: listOf(z.string()),
  State: z.object({ Running: z.boolean() }),
  HostConfig: z.object({ PidMode: z.string().nullish() }),
});

// In a process namespace of its own the container's main process is number 1, which is never taken
// for that of an exec.
const OWN_NAMESPACE: readonly unknown[] = [undefined, null, '', 'private'];

/**
 * The exec's first process if it has shed the mark (su, sudo, env -i). Asked after `heads` were seen:
 * when the container has no other exec, they can belong to none but this one.
 */
async function firstProcess(
  docker: DockerEngine,
  exec: MarkedExec,
  heads: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (heads.length === 0) return [];
  const { ExecIDs, HostConfig } = await inspect(docker, exec.container, signal);
  const isOnlyExec = ExecIDs.length === 1 && ExecIDs[0] === exec.id;
  return isOnlyExec && OWN_NAMESPACE.includes(HostConfig.PidMode) ? heads : [];
}

/** A container that stops or is removed takes its processes with it; a paused one keeps them. */
async function isContainerGone(docker: DockerEngine, container: string): Promise<boolean> {
  const signal = AbortSignal.timeout(LOOK_TIMEOUT_MS);
  try {
    while ((await inspect(docker, container, signal)).State.Running) {
      await delay(LOOK_POLL_MS, undefined, { signal });
    }
    return true;
  } catch (error) {
    return isMissing(error);
  }
}

async function inspect(docker: DockerEngine, name: string, signal: AbortSignal) {
  const subject = { kind: 'container', name } as const;
  const reply = await docker.request({ path: `/containers/${name}/json`, subject, signal });
  return readReply(containerSchema, reply);
}

// Shell built-ins only: an image may have nothing but sh. The fields of /proc/PID/stat after the
// name are state and parent; the first process of an exec has no parent inside the container, and
// unlike that of another container in the same process namespace, the same control group. A zombie
// is as good as gone.
const SCRIPT = `
mark=$1
shift
found=" $* "
heads=
look() {
  stat=
  read -r stat 2>/dev/null <"/proc/$1/stat"
  stat=\${stat##*) }
  state=\${stat%% *}
  parent=\${stat#* }
  parent=\${parent%% *}
}
for dir in /proc/[0-9]*; do
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in *"$mark"*) found="$found\${dir#/proc/} "; break ;; esac
  done 2>/dev/null <"$dir/environ"
done
read -r ours </proc/self/cgroup
grown=yes
while [ -n "$grown" ]; do
  grown=
  heads=
  for dir in /proc/[0-9]*; do
    pid=\${dir#/proc/}
    case "$found 1 $$ " in *" $pid "*) continue ;; esac
    look "$pid"
    case $found in *" $parent "*) found="$found$pid "; grown=yes ;; esac
    theirs=
    [ "$parent" = 0 ] && read -r theirs 2>/dev/null <"/proc/$pid/cgroup"
    [ -n "$theirs" ] && [ "$theirs" = "$ours" ] && heads="$heads $pid"
  done
done
for pid in $heads; do echo "head $pid"; done
for pid in $found; do
  look "$pid"
  case $state in ''|Z|X) ;; *) kill -9 "$pid"; echo "killed $pid" ;; esac
done
exit 0
`;
