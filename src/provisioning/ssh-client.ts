import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { TomoError } from '../../protocol/errors.ts';
import { sshAddress, sshWords } from './ssh-address.ts';
import { hostKeyHint } from './ssh-host-key.ts';

/** Kept of what ssh prints. */
const OUTPUT_MAX_CHARS = 64 * 1024;
const CONNECT_TIMEOUT_SECONDS = 10;

export type SshProcess = ChildProcessByStdio<Writable, Readable, Readable>;

/**
 * The user's OpenSSH client, which knows their configuration, agent, known hosts and jump hosts. It
 * never asks: no password passes through Tomo, and an unknown host key ends it.
 */
export function startSsh(target: string, command: string): SshProcess {
  const address = sshAddress(target);
  const port = address.port === undefined ? [] : ['-p', address.port];
  const args = [
    '-o',
    'BatchMode=yes',
    '-o',
    'StrictHostKeyChecking=yes',
    '-o',
    `ConnectTimeout=${CONNECT_TIMEOUT_SECONDS}`,
    '-o',
    'ServerAliveInterval=15',
    '-o',
    'ServerAliveCountMax=3',
    '-T',
    ...port,
    '--',
    address.destination,
    command,
  ];
  return spawn('ssh', args, { stdio: ['pipe', 'pipe', 'pipe'] });
}

/** Runs a shell script on the target and answers what it printed. Throws as `sshError` says. */
export async function runOverSsh(
  target: string,
  script: string,
  signal: AbortSignal,
): Promise<{ stdout: string; stderr: string; exitCode: number }> {
  const child = startSsh(target, 'sh -s');
  const stop = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', stop, { once: true });
  try {
    const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
    child.stdin.on('error', () => undefined).end(script);
    await once(child, 'close').catch((cause: unknown) => {
      throw new TomoError(
        'TARGET_UNREACHABLE',
        'The ssh program cannot be started; install the OpenSSH client.',
        { cause },
      );
    });
    if (signal.aborted) throw new TomoError('COMMAND_CANCELLED', 'Cancelled.');
    // 255 is ssh's own failure, any other status the script's.
    if (child.exitCode === 255) throw await sshError(target, stderr());
    return { stdout: stdout(), stderr: stderr(), exitCode: child.exitCode ?? -1 };
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** What ssh's complaint means for the user: HOST_KEY_UNVERIFIED, LOGIN_REFUSED or TARGET_UNREACHABLE. */
export async function sshError(target: string, complaint: string): Promise<TomoError> {
  const words = complaint.trim().split('\n').slice(-3).join(' ');
  const facts = { target };
  if (/host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED/i.test(complaint)) {
    const changed = complaint.includes('IDENTIFICATION HAS CHANGED');
    return new TomoError('HOST_KEY_UNVERIFIED', await hostKeyHint(target, changed), { facts });
  }
  if (/permission denied|too many authentication failures/i.test(complaint)) {
    return new TomoError(
      'LOGIN_REFUSED',
      `${target} refused the login (${words}). Tomo uses keys only: see that "ssh ${sshWords(target)} true" works without a question, for example after ssh-copy-id or ssh-add.`,
      { facts },
    );
  }
  return new TomoError(
    'TARGET_UNREACHABLE',
    `${target} cannot be reached over SSH (${words}). Check its name, port and firewall with "ssh ${sshWords(target)} true".`,
    { facts },
  );
}

function collect(stream: Readable): () => string {
  let text = '';
  stream.setEncoding('utf8').on('data', (piece: string) => {
    text = (text + piece).slice(-OUTPUT_MAX_CHARS);
  });
  return () => text;
}
