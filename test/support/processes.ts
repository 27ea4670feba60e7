import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** The program as people start it. */
export const TOMO = join(ROOT, 'bin', 'tomo.js');
const AGENT = join(ROOT, 'agent', 'main.ts');

const READY_TIMEOUT_MS = 30_000;

/** A running program of ours whose log is read line by line. */
export interface Program {
  readonly child: ChildProcess;
  readonly pid: number;
  /** All it has written to stderr so far. */
  log(): string;
  /** Standard output so far. */
  output(): string;
  /** Resolves with the first line of stderr or stdout, past or to come, that holds `text`. */
  line(text: string, since?: number): Promise<string>;
  /** Lines written so far, to wait for one that is to come. */
  lineCount(): number;
  /** Sends the signal and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Resolves with its exit code, or null if a signal ended it. */
  readonly ended: Promise<number | null>;
}

/** Everything a test started, for one afterEach to stop. */
export class Started implements AsyncDisposable {
  readonly #stops: (() => Promise<void> | void)[] = [];

  directory(): string {
    const path = mkdtempSync(join(tmpdir(), 'tomo-test-'));
    this.#stops.push(() => rmSync(path, { recursive: true, force: true }));
    return path;
  }

  defer(stop: () => Promise<void> | void): void {
    this.#stops.push(stop);
  }

  tomo(args: string[], env: Record<string, string> = {}, user: { uid?: number } = {}): Program {
    return this.#start([TOMO, ...args], env, user);
  }

  agent(env: Record<string, string>, user: { uid?: number } = {}): Program {
    return this.#start([AGENT], env, user);
  }

  script(file: string, args: string[], env: Record<string, string> = {}): Program {
    return this.#start([file, ...args], env);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    while (this.#stops.length > 0) await this.#stops.pop()?.();
  }

  #start(args: string[], env: Record<string, string>, user: { uid?: number } = {}): Program {
    const program = start(args, env, user);
    this.#stops.push(() => program.stop('SIGKILL'));
    return program;
  }
}

function start(args: string[], env: Record<string, string>, user: { uid?: number }): Program {
  const child = spawn(process.execPath, args, {
    cwd: tmpdir(),
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
    ...user,
  });
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  let output = '';
  const ended = once(child, 'exit').then(() => child.exitCode);
  const onLine = (line: string): void => {
    lines.push(line);
    for (const look of waiting) look();
  };
  createInterface({ input: child.stderr }).on('line', onLine);
  createInterface({ input: child.stdout }).on('line', (line) => {
    output += `${line}\n`;
    onLine(line);
  });
  return {
    child,
    pid: child.pid ?? -1,
    log: () => lines.join('\n'),
    output: () => output,
    lineCount: () => lines.length,
    ended,
    line: (text, since = 0) =>
      new Promise((resolve, reject) => {
        const fail = (): void => {
          end();
          reject(new Error(`no line with "${text}" in time:\n${lines.join('\n')}`));
        };
        const timer = setTimeout(fail, READY_TIMEOUT_MS);
        const end = (): void => {
          clearTimeout(timer);
          waiting.delete(look);
        };
        const look = (): void => {
          const line = lines.slice(since).find((candidate) => candidate.includes(text));
          if (line === undefined) return;
          end();
          resolve(line);
        };
        waiting.add(look);
        look();
      }),
    stop: async (signal = 'SIGTERM') => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      await ended;
    },
  };
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
