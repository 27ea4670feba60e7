import { open, readFile, readlink } from 'node:fs/promises';
import path from 'node:path';

/** What /proc/PID/stat does not tell, read of the few processes that are answered. */
export interface ProcessDetails {
  readonly user: string;
  readonly rss: number;
  readonly program: string | undefined;
  readonly commandLine: string | undefined;
}

const COMMAND_LINE_MAX_BYTES = 4_096;
const PASSWD_MAX_BYTES = 1024 * 1024;

/** Undefined of one that has ended. */
export async function readDetails(
  procRoot: string,
  pid: number,
  users: ReadonlyMap<string, string>,
  full: boolean,
): Promise<ProcessDetails | undefined> {
  const directory = path.join(procRoot, String(pid));
  const status = await readFile(path.join(directory, 'status'), 'utf8').catch(() => undefined);
  if (status === undefined) return undefined;
  // The second of the four is the effective one, as ps shows.
  const uid = /^Uid:\s+\d+\s+(\d+)/m.exec(status)?.[1] ?? '';
  // Kernel threads have none.
  const rssKiB = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
  return {
    user: users.get(uid) ?? uid,
    rss: rssKiB * 1_024,
    program: await readProgram(procRoot, pid),
    commandLine: full ? await readCommandLine(procRoot, pid) : undefined,
  };
}

/**
 * The file that it runs, without its folder: processes can name themselves otherwise, as Node’s do.
 * Undefined of kernel threads, and of others’ where the agent may not look.
 */
export async function readProgram(procRoot: string, pid: number): Promise<string | undefined> {
  const file = await readlink(path.join(procRoot, String(pid), 'exe')).catch(() => undefined);
  // What is added of a file that an update has replaced.
  return file && path.basename(file.replace(/ \(deleted\)$/, ''));
}

/** Arguments with spaces between them; empty of kernel threads and of what has ended. */
export async function readCommandLine(procRoot: string, pid: number): Promise<string> {
  const file = path.join(procRoot, String(pid), 'cmdline');
  const bytes = await readStart(file, COMMAND_LINE_MAX_BYTES).catch(() => Buffer.alloc(0));
  const text = bytes.toString('utf8').replace(/\0+$/, '').replaceAll('\0', ' ');
  return bytes.length === COMMAND_LINE_MAX_BYTES ? `${text}…` : text;
}

/** Names by user id, from the first of these files that is there; the later of two names loses. */
export async function readUsers(files: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const users = new Map<string, string>();
  for (const file of files) {
    const text = await readStart(file, PASSWD_MAX_BYTES).then(String, () => '');
    for (const line of text.split('\n')) {
      const [name = '', , uid = ''] = line.split(':');
      if (uid !== '' && !users.has(uid)) users.set(uid, name);
    }
    if (users.size > 0) return users;
  }
  return users;
}

async function readStart(file: string, maxBytes: number): Promise<Buffer> {
  await using handle = await open(file);
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(maxBytes), 0, maxBytes, 0);
  return buffer.subarray(0, bytesRead);
}
