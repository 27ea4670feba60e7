import { engineAnswers, startOwnEngine, stopOwnEngine } from './own-engine.ts';
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

/**
 * Finds or starts one engine for all test files: TOMO_TEST_DOCKER_HOST, else the machine's own, else
 * a new dockerd if this is root and it is installed. A global setup calls this and puts `host` into
 * TOMO_TEST_DOCKER_HOST, where `requireDocker` finds it.
 */
export async function startDockerEngine(): Promise<TestEngine | undefined> {
  const engine = await findOrStart();
  if (engine === undefined) return sayUnavailable('docker', NO_ENGINE);
  try {
    await importWorkloadImage(engine.host);
    return engine;
  } catch (error) {
    await engine.stop();
    return sayUnavailable('docker', String(error));
  }
}

/** An engine that is there already: TOMO_TEST_DOCKER_HOST's, else the machine's own. */
export async function findEngine(): Promise<string | undefined> {
  for (const host of [dockerHost(), MACHINE_SOCKET]) {
    if (host !== undefined && (await engineAnswers(host))) return host;
  }
  return undefined;
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

async function findOrStart(): Promise<TestEngine | undefined> {
  const host = await findEngine();
  if (host !== undefined) return { host, stop: async () => {} };
  const own = await startOwnEngine();
  return own === undefined ? undefined : { host: own.host, stop: () => stopOwnEngine(own) };
}

/** Where the tests' engine listens, if there is one. */
function dockerHost(): string | undefined {
  return process.env[HOST_VARIABLE] || undefined;
}

function refuseIfRequired(part: string, why: string): void {
  const required = (process.env['TOMO_TEST_REQUIRE'] ?? '').split(',');
  if (required.includes(part)) throw new Error(`TOMO_TEST_REQUIRE names "${part}", but: ${why}`);
}

function sayUnavailable(part: string, why: string): undefined {
  process.stderr.write(`\n*** SKIPPED: tests that need "${part}": ${why} ***\n`);
}
