import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { TomoError } from '../protocol/errors.ts';
import { EXEC_OUTPUT_MAX_BYTES } from '../protocol/limits.ts';
import { killSession } from './kill-session.ts';
import { NewestOutput } from './newest-output.ts';

export interface ShellCommand {
  /** For `sh -c`. */
  readonly command: string;
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  /** After it the whole process tree is killed. */
  readonly timeoutMs: number;
  /** The same when it is aborted. */
  readonly signal: AbortSignal;
  /** Newest bytes kept of stdout and of stderr. */
  readonly outputMaxBytes?: number;
}

export interface ShellResult {
  readonly stdout: string;
  readonly stderr: string;
  /** 128 + signal number if a signal ended it, -1 if that was the time limit. */
  readonly exit_code: number;
  readonly signal?: string;
  readonly timed_out: boolean;
  /** Whether the beginning of stdout or stderr is left out. */
  readonly truncated: boolean;
}

type Child = ChildProcessByStdio<null, Readable, Readable>;

// What the shell wrote is in the pipe when it ends; only a background process holds it open longer.
const DRAIN_MS = 100;

/**
 * Runs a shell command with its own session, without stdin, to the end of the shell: a process it
 * left in the background lives on. Throws TomoError EXEC_FAILED or COMMAND_CANCELLED.
 */
export async function runShell(command: ShellCommand): Promise<ShellResult> {
  if (command.signal.aborted) throw cancelled();
  const child = await start(command);
  const maxBytes = command.outputMaxBytes ?? EXEC_OUTPUT_MAX_BYTES;
  const stdout = collect(child.stdout, maxBytes);
  const stderr = collect(child.stderr, maxBytes);
  const timedOut = await exit(child, command);
  await drain(child);
  if (command.signal.aborted && child.signalCode === 'SIGKILL') throw cancelled();

  const cutAtEnd = child.signalCode !== null;
  return {
    stdout: stdout.text({ cutAtEnd }),
    stderr: stderr.text({ cutAtEnd }),
    exit_code: timedOut ? -1 : exitCode(child),
    ...(child.signalCode === null ? {} : { signal: child.signalCode }),
    timed_out: timedOut,
    truncated: stdout.truncated || stderr.truncated,
  };
}

async function start({ command, cwd, environment }: ShellCommand): Promise<Child> {
  try {
    const child = spawn('sh', ['-c', command], {
      cwd,
      env: environment,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    await once(child, 'spawn');
    return child;
  } catch (error) {
    throw new TomoError('EXEC_FAILED', await describeFailure(cwd, error), {
      cause: error,
      facts: { cwd },
    });
  }
}

/** The system reports a missing directory as if `sh` were missing. */
async function describeFailure(cwd: string, error: unknown): Promise<string> {
  const directory = await stat(cwd).catch(() => undefined);
  if (directory === undefined) {
    return `The working directory ${cwd} does not exist here or may not be seen by the agent.`;
  }
  if (!directory.isDirectory()) return `The working directory ${cwd} is not a directory.`;
  const reason = error instanceof Error ? error.message : String(error);
  return `sh could not be started: ${reason}`;
}

/** Waits for the shell's end, and brings it about when its time is over; tells whether it was. */
async function exit(child: Child, { timeoutMs, signal }: ShellCommand): Promise<boolean> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const stop = AbortSignal.any([timeout, signal]);
  const ended = new AbortController();
  const exited = once(child, 'exit').finally(() => {
    ended.abort();
  });
  const aborted = once(stop, 'abort', { signal: ended.signal }).catch(() => undefined);
  // An abort while the shell was being started makes no further event.
  if (!stop.aborted) await Promise.race([exited, aborted]);
  if (!stop.aborted || ended.signal.aborted) return false;
  if (child.pid !== undefined) await killSession(child.pid);
  await exited;
  return timeout.aborted && !signal.aborted;
}

function collect(stream: Readable, maxBytes: number): NewestOutput {
  const output = new NewestOutput(maxBytes);
  stream.on('data', (piece: Buffer) => {
    output.push(piece);
  });
  return output;
}

/**
 * Takes what is still in the pipes. If a background process holds them open, they are read on and
 * thrown away: closing them would kill it with SIGPIPE at its next write.
 */
async function drain(child: Child): Promise<void> {
  const closed = Promise.all([child.stdout, child.stderr].map((stream) => endOf(stream)));
  await Promise.race([closed, delay(DRAIN_MS, undefined, { ref: false })]);
  // A busy event loop runs timers before it reads pipes.
  await turn();
  for (const stream of [child.stdout, child.stderr]) {
    stream.removeAllListeners('data');
    stream.resume();
    if (stream instanceof Socket) stream.unref();
  }
}

async function endOf(stream: Readable): Promise<void> {
  if (!stream.readableEnded && !stream.destroyed) await once(stream, 'close');
}

function exitCode({ exitCode: code, signalCode }: Child): number {
  // As shells report it.
  return signalCode === null ? (code ?? -1) : 128 + constants.signals[signalCode];
}

function cancelled(): TomoError {
  return new TomoError(
    'COMMAND_CANCELLED',
    'Cancelled: the command and its processes were killed.',
  );
}
