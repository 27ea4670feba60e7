import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { TomoError } from '../../protocol/errors.ts';
import { EXEC_OUTPUT_MAX_BYTES } from '../../protocol/limits.ts';
import { killSession } from './kill-session.ts';
import { NewestOutput } from './newest-output.ts';

export interface ShellCommand {
  /** For `sh -c`. */
  readonly command: string;
  /** A directory of the place where the command runs. */
  readonly cwd: string;
  /** Program and arguments that lead to that place, and run what follows them there. */
  readonly entrance?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** After it the whole process tree is killed. */
  readonly timeoutMs: number;
  /** The same when it is aborted. */
  readonly signal: AbortSignal;
  /** Told of what it puts out, as it comes. */
  readonly onOutput?: (stream: 'stdout' | 'stderr', piece: Buffer) => void;
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

// Enters the directory, says so on descriptor 3, and becomes the command's shell: what came before
// that word is no output of the command but why it never began.
const ENTER = 'cd "$1" 2>&3 && echo >&3 && exec 3>&- /bin/sh -c "$2"';
const ENTERED = '\n';
const REPORT_MAX_BYTES = 4_096;
const STDOUT = 1;
const STDERR = 2;
const REPORT = 3;

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
  const { onOutput } = command;
  const stdout = collect(child, STDOUT, maxBytes, (piece) => onOutput?.('stdout', piece));
  const stderr = collect(child, STDERR, maxBytes, (piece) => onOutput?.('stderr', piece));
  const report = collect(child, REPORT, REPORT_MAX_BYTES);
  const timedOut = await exit(child, command);
  await drain(child);
  if (command.signal.aborted && child.signalCode === 'SIGKILL') throw cancelled();
  const entered = report.text({ cutAtEnd: false });
  if (entered !== ENTERED && !timedOut) {
    throw notStarted(command.cwd, entered || stderr.text({ cutAtEnd: true }));
  }

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

async function start({
  command,
  cwd,
  entrance = [],
  environment,
}: ShellCommand): Promise<ChildProcess> {
  // Absolute, because "-" and names in CDPATH mean something else to cd.
  const enter = ['/bin/sh', '-c', ENTER, 'sh', path.resolve('/', cwd), command];
  const [program = '', ...args] = [...entrance, ...enter];
  try {
    const child = spawn(program, args, {
      cwd: '/',
      env: environment,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    });
    await once(child, 'spawn');
    return child;
  } catch (error) {
    throw notStarted(cwd, error instanceof Error ? error.message : String(error), error);
  }
}

function notStarted(cwd: string, words: string, cause?: unknown): TomoError {
  const why = words.trim() || 'it ended before it began';
  return new TomoError(
    'EXEC_FAILED',
    `The command could not be started in ${cwd}: ${why}. Is that a directory there, and the command shorter than 128 KiB?`,
    { cause, facts: { cwd } },
  );
}

/** Waits for the shell's end, and brings it about when its time is over; tells whether it was. */
async function exit(child: ChildProcess, { timeoutMs, signal }: ShellCommand): Promise<boolean> {
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

function collect(
  child: ChildProcess,
  descriptor: number,
  maxBytes: number,
  take?: (piece: Buffer) => void,
): NewestOutput {
  const output = new NewestOutput(maxBytes);
  child.stdio[descriptor]?.on('data', (piece: Buffer) => {
    output.push(piece);
    take?.(piece);
  });
  return output;
}

/**
 * Takes what is still in the pipes. If a background process holds them open, they are read on and
 * thrown away: closing them would kill it with SIGPIPE at its next write.
 */
async function drain(child: ChildProcess): Promise<void> {
  const streams = child.stdio.filter((stream) => stream instanceof Readable);
  const closed = Promise.all(streams.map((stream) => endOf(stream)));
  await Promise.race([closed, delay(DRAIN_MS, undefined, { ref: false })]);
  // A busy event loop runs timers before it reads pipes.
  await turn();
  for (const stream of streams) {
    stream.removeAllListeners('data');
    stream.resume();
    if (stream instanceof Socket) stream.unref();
  }
}

async function endOf(stream: Readable): Promise<void> {
  if (!stream.readableEnded && !stream.destroyed) await once(stream, 'close');
}

function exitCode({ exitCode: code, signalCode }: ChildProcess): number {
  // As shells report it.
  return signalCode === null ? (code ?? -1) : 128 + constants.signals[signalCode];
}

function cancelled(): TomoError {
  return new TomoError(
    'COMMAND_CANCELLED',
    'Cancelled: the command and its processes were killed.',
  );
}
