import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { engineAnswers } from './own-engine.ts';
import { runProgram } from './run-program.ts';

const START_MAX_MS = 60_000;
const POLL_MS = 100;

/** A dockerd without networks that a test kills and starts again with the same data. */
export class KillableEngine implements AsyncDisposable {
  /** A DOCKER_HOST value. */
  readonly host: string;
  readonly #directory: string;
  #daemon: ChildProcess | undefined;
  #starts = 0;

  static async start(): Promise<KillableEngine> {
    // A short path: a Unix socket's name holds 107 bytes.
    const engine = new KillableEngine(await mkdtemp(join(tmpdir(), 'tomo-dk-')));
    await engine.start();
    return engine;
  }

  private constructor(directory: string) {
    this.#directory = directory;
    this.host = `unix://${directory}/docker.sock`;
  }

  /** @param flags of dockerd, besides those of its place. */
  async start(...flags: readonly string[]): Promise<void> {
    this.#starts += 1;
    const at = this.#directory;
    const folders = ['--data-root', `${at}/data`, '--exec-root', `${at}/exec`];
    const network = ['--bridge', 'none', '--iptables=false'];
    const pid = ['--pidfile', `${at}/pid${this.#starts}`];
    const dockerd = ['dockerd', ...folders, ...network, ...pid, ...flags, '-H', this.host];
    // In a network namespace of its own: an engine without a bridge removes the one that others use.
    this.#daemon = spawn('unshare', ['--net', ...dockerd], { stdio: 'ignore' });
    const deadline = Date.now() + START_MAX_MS;
    while (!(await engineAnswers(this.host))) {
      if (Date.now() > deadline) throw new Error('the engine does not come up');
      await delay(POLL_MS);
    }
  }

  /** Without a chance to end its containers, which the next start does but for --live-restore. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const daemon = this.#daemon;
    if (daemon === undefined || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const ended = once(daemon, 'exit');
    daemon.kill(signal);
    await ended;
    // It ends with the engine, but where nobody reaps it, the next engine takes it for alive.
    await rm(`${this.#directory}/exec/containerd/containerd.pid`, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill('SIGTERM');
    const mounts = await readFile('/proc/self/mounts', 'utf8');
    for (const line of mounts.split('\n')) {
      const target = line.split(' ')[1] ?? '';
      if (!target.startsWith(`${this.#directory}/`)) continue;
      await runProgram('umount', '--lazy', target).catch(() => undefined);
    }
    await rm(this.#directory, { recursive: true, force: true });
  }
}
