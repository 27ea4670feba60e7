import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { DockerEngine } from '../../docker-engine/docker-engine.ts';
import { isInstalled, isRoot } from './installed.ts';
import { runProgram } from './run-program.ts';

/** A dockerd that was started in a folder of its own. */
export interface OwnEngine {
  /** A DOCKER_HOST value. */
  readonly host: string;
  readonly pid: number;
  readonly directory: string;
}

const START_TIMEOUT_MS = 60_000;
const POLL_MS = 100;

/**
 * Starts an engine, if this is root and dockerd is installed; undefined if it does not come up.
 * @param outlives whether it goes on when this process and its terminal end
 */
export async function startOwnEngine(outlives = false): Promise<OwnEngine | undefined> {
  if (!isRoot() || !isInstalled('dockerd')) return undefined;
  // A short path: a Unix socket's name holds 107 bytes.
  const directory = await mkdtemp(join(tmpdir(), 'tomo-dk-'));
  const host = `unix://${directory}/docker.sock`;
  const folders = ['--data-root', `${directory}/data`, '--exec-root', `${directory}/exec`];
  const daemon = spawn('dockerd', [...folders, '-H', host, '--pidfile', `${directory}/pid`], {
    stdio: 'ignore',
    detached: outlives,
  });
  await once(daemon, 'spawn');
  if (outlives) daemon.unref();
  const engine = { host, pid: daemon.pid ?? -1, directory };
  if (await comesUp(engine)) return engine;
  await stopOwnEngine(engine);
  return undefined;
}

/** Ends the engine, if it still runs, and removes its folder. */
export async function stopOwnEngine(engine: OwnEngine): Promise<void> {
  if (await isRunning(engine)) process.kill(engine.pid, 'SIGTERM');
  while (await isRunning(engine)) await delay(POLL_MS);
  await unmountAll(engine.directory);
  await rm(engine.directory, { recursive: true, force: true });
}

/** Whether an engine answers there. */
export async function engineAnswers(host: string): Promise<boolean> {
  try {
    await new DockerEngine(host).version(AbortSignal.timeout(5_000));
    return true;
  } catch {
    return false;
  }
}

async function comesUp(engine: OwnEngine): Promise<boolean> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline && (await isRunning(engine))) {
    if (await engineAnswers(engine.host)) return true;
    await delay(POLL_MS);
  }
  return false;
}

/** An engine leaves the network of containers on the host's network mounted. */
async function unmountAll(directory: string): Promise<void> {
  const mounts = await readFile('/proc/self/mounts', 'utf8');
  for (const line of mounts.split('\n')) {
    const target = line.split(' ')[1] ?? '';
    if (target.startsWith(`${directory}/`)) await runProgram('umount', '--lazy', target);
  }
}

/** By its command line too: the pid may belong to another program by now. */
async function isRunning({ pid, directory }: OwnEngine): Promise<boolean> {
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return command.includes(directory);
}
