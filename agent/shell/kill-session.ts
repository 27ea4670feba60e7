import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

const PROCESS_DIRECTORY = /^\d+$/;
// A process may fork while it is looked for, and takes a moment to go, longer on a busy machine. What
// outruns this many looks, each a little later than the one before, is a fork bomb or hangs in the kernel.
const LOOKS_MAX_COUNT = 30;
const LOOK_LATER_MS = 2;

/**
 * Kills a session leader and all of its session, and sees them gone. A process group alone would miss
 * what `timeout` or a shell with job control starts: those make groups of their own within the session.
 * What left by `setsid` was meant to outlive its command and is spared. Where there is no /proc, only
 * the group.
 */
export async function killSession(leader: number): Promise<void> {
  kill(-leader);
  for (let look = 0; look < LOOKS_MAX_COUNT; look += 1) {
    const members = await sessionMembers(leader);
    if (members.length === 0) return;
    for (const pid of members) kill(pid);
    await delay(look * LOOK_LATER_MS);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}

async function sessionMembers(leader: number): Promise<number[]> {
  const names = await readdir('/proc').catch(() => []);
  const pids = names.filter((name) => PROCESS_DIRECTORY.test(name));
  const isMember = await Promise.all(pids.map((pid) => isAliveIn(leader, pid)));
  return pids.filter((_, index) => isMember[index]).map(Number);
}

/** Reads state and session from /proc/PID/stat; the name before them may hold anything (proc(5)). */
async function isAliveIn(leader: number, pid: string): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const [state, , , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(session) === leader && state !== 'Z';
}
