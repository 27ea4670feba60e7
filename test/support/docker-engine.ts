import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { DockerEngine } from '../../agent/docker/docker-engine.ts';
import { importWorkloadImage } from './workload-image.ts';

/** An engine for tests, with the workload image in it. */
export interface TestEngine {
  /** A DOCKER_HOST value. */
  readonly host: string;
  /** Ends the engine if it was started for the tests. */
  stop(): Promise<void>;
}

const HOST_VARIABLE = 'TOMO_TEST_DOCKER_HOST';
const MACHINE_SOCKET = 'unix:///var/run/docker.sock';
const NO_ENGINE = 'no Docker engine (install docker.io and busybox-static, run as root)';
const START_TIMEOUT_MS = 60_000;
const START_POLL_MS = 100;

/**
 * Finds or starts one engine for all test files: TOMO_TEST_DOCKER_HOST, else the machine's own, else
 * a new dockerd if this is root and it is installed. A global setup calls this and puts `host` into
 * TOMO_TEST_DOCKER_HOST, where `requireDocker` finds it.
 */
export async function startDockerEngine(): Promise<TestEngine | undefined> {
  const engine = (await findEngine()) ?? (await startOwnEngine());
  if (engine === undefined) return sayUnavailable('docker', NO_ENGINE);
  try {
    await importWorkloadImage(engine.host);
    return engine;
  } catch (error) {
    await engine.stop();
    return sayUnavailable('docker', String(error));
  }
}

/** Where the tests' engine listens, if there is one. */
function dockerHost(): string | undefined {
  return process.env[HOST_VARIABLE] || undefined;
}

/** Whether the engine is there for tests alone: on a machine's own, nothing may be pruned. */
export function isTestEngine(host: string): boolean {
  return host !== MACHINE_SOCKET;
}

/**
 * Where the tests' engine listens; undefined if there is none.
 * @throws Error if there is none though TOMO_TEST_REQUIRE names docker
 */
export function requireDocker(): string | undefined {
  const host = dockerHost();
  if (host === undefined) refuseIfRequired('docker', NO_ENGINE);
  return host;
}

/** `found`, or a loud line that tests are skipped; throws if TOMO_TEST_REQUIRE names the part. */
export function requirePart<T>(part: string, found: T | undefined, why: string): T | undefined {
  if (found !== undefined) return found;
  refuseIfRequired(part, why);
  return sayUnavailable(part, why);
}

function refuseIfRequired(part: string, why: string): void {
  const required = (process.env['TOMO_TEST_REQUIRE'] ?? '').split(',');
  if (required.includes(part)) throw new Error(`TOMO_TEST_REQUIRE names "${part}", but: ${why}`);
}

function sayUnavailable(part: string, why: string): undefined {
  process.stderr.write(`\n*** SKIPPED: tests that need "${part}": ${why} ***\n`);
}

async function findEngine(): Promise<TestEngine | undefined> {
  for (const host of [dockerHost(), MACHINE_SOCKET]) {
    if (host !== undefined && (await answers(host))) return { host, stop: async () => {} };
  }
  return undefined;
}

async function answers(host: string): Promise<boolean> {
  try {
    await new DockerEngine(host).version(AbortSignal.timeout(5_000));
    return true;
  } catch {
    return false;
  }
}

async function startOwnEngine(): Promise<TestEngine | undefined> {
  if (process.getuid?.() !== 0 || !(await isInstalled('dockerd'))) return undefined;
  // A short path: a Unix socket's name holds 107 bytes.
  const directory = await mkdtemp(join(tmpdir(), 'tomo-dk-'));
  const host = `unix://${directory}/docker.sock`;
  const folders = ['--data-root', `${directory}/data`, '--exec-root', `${directory}/exec`];
  const daemon = spawn('dockerd', [...folders, '-H', host, '--pidfile', `${directory}/pid`], {
    stdio: 'ignore',
  });
  const stop = async () => {
    await ended(daemon);
    await rm(directory, { recursive: true, force: true });
  };
  if (await comesUp(daemon, host)) return { host, stop };
  await stop();
  return undefined;
}

async function isInstalled(program: string): Promise<boolean> {
  const folders = (process.env['PATH'] ?? '').split(':');
  const found = await Promise.allSettled(folders.map((folder) => access(join(folder, program))));
  return found.some(({ status }) => status === 'fulfilled');
}

async function comesUp(daemon: ChildProcess, host: string): Promise<boolean> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline && daemon.exitCode === null) {
    if (await answers(host)) return true;
    await delay(START_POLL_MS);
  }
  return false;
}

async function ended(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return;
  const exit = once(daemon, 'exit');
  daemon.kill('SIGTERM');
  await exit;
}
