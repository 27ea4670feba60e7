import { mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { requireDocker, requirePart } from './docker-engine.ts';
import { isInstalled, isRoot } from './installed.ts';
import { engineAnswers } from './own-engine.ts';
import { type Output, programOutput, runProgram } from './run-program.ts';
import { engineCommand, engineSocket, removeControlGroups } from './server-engine.ts';
import { enterServer, startInit } from './server-init.ts';
import { ServerNetwork } from './server-network.ts';
import { makeSshFiles, type ServerSsh } from './server-ssh.ts';

/**
 * A server for tests, on this machine and yet apart from it: mount, pid, uts, ipc and network
 * namespaces of its own, a Docker engine on /var/run/docker.sock and an SSH server on port 22. It
 * has the machine's files except /run and /etc/machine-id.
 */
export interface StandInServer extends ServerSsh {
  /** Its hostname too. */
  readonly name: string;
  readonly address: string;
  /** The machine's end of the link: a hub that listens there or on 0.0.0.0 is reached from it. */
  readonly hubAddress: string;
  /** A DOCKER_HOST value with which the machine reaches the server's engine. */
  readonly dockerHost: string;
  /** Path of the private key that its root accepts. */
  readonly sshKey: string;
  /** Path of a file with its host key, by its name and its address. */
  readonly knownHosts: string;
  /** Path of a file for `ssh -F`, which knows it by its name and its address. */
  readonly sshConfig: string;
  /** Runs `sh -c COMMAND` there as root, in all of its namespaces. */
  run(command: string): Promise<Output>;
  /** Copies an image from another engine, the tests' own unless given. */
  loadImage(tag: string, from?: string): Promise<void>;
  /** Ends the engine as a crash does. */
  killEngine(): Promise<void>;
  /** Starts the engine and waits until it answers. */
  startEngine(): Promise<void>;
  /** Ends every process of the server and removes the rest; may be called again. */
  stop(): Promise<void>;
}

export interface ServerOptions {
  /** false: a server without Docker, neither engine nor command. */
  readonly docker?: boolean;
}

const NAME = /^[a-z0-9][a-z0-9-]{0,39}$/;
const PROGRAMS = ['ip', 'nsenter', 'unshare', 'bash', 'dockerd', 'docker', 'sshd', 'ssh-keygen'];
const UNAVAILABLE = `no stand-in server (run as root on Linux with ${PROGRAMS.join(', ')})`;
const KILL_ENGINE =
  'pid=$(cat /run/docker.pid) && kill -9 $pid; while kill -0 $pid 2>/dev/null; do sleep 0.05; done';
const ENGINE_TIMEOUT_MS = 30_000;
const POLL_MS = 50;

/**
 * Whether stand-in servers can be started; else a loud line that tests are skipped.
 * @throws Error if they cannot though TOMO_TEST_REQUIRE names server
 */
export function requireServer(): true | undefined {
  const possible = process.platform === 'linux' && isRoot() && isInstalled(...PROGRAMS);
  return requirePart('server', possible || undefined, UNAVAILABLE);
}

/** Starts a server, after removing what is left of one of the same name. */
export async function standInServer(
  name: string,
  options: ServerOptions = {},
): Promise<StandInServer> {
  const { docker = true } = options;
  await removeServer(name);
  try {
    const directory = serverDirectory(name);
    // The keys and the engine's socket are for root alone.
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeFile(join(directory, 'daemon.json'), '{}');
    const network = new ServerNetwork(name);
    const ssh = await makeSshFiles({ directory, name, address: network.address });
    await network.create();
    const { namespaceFile } = network;
    const initPid = await startInit({ directory, name, namespaceFile, docker });
    const server = serverOf(name, network, ssh, initPid);
    if (docker) await server.startEngine();
    return server;
  } catch (error) {
    await removeServer(name);
    throw error;
  }
}

/** Ends and removes a server of this name, whoever started it. */
export async function removeServer(name: string): Promise<void> {
  if (!NAME.test(name)) throw new Error(`"${name}" is no server's name: it must match ${NAME}`);
  const network = new ServerNetwork(name);
  await network.killProcesses();
  await network.remove();
  const directory = serverDirectory(name);
  await removeControlGroups(directory);
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
}

function serverOf(
  name: string,
  { address, hubAddress }: ServerNetwork,
  ssh: ServerSsh,
  initPid: number,
): StandInServer {
  const directory = serverDirectory(name);
  const dockerHost = `unix://${engineSocket(directory)}`;
  const run = (command: string): Promise<Output> =>
    programOutput('nsenter', enterServer(initPid, command));
  return {
    name,
    address,
    hubAddress,
    dockerHost,
    ...ssh,
    run,
    loadImage: (tag, from = requireDocker() ?? '') => copyImage(tag, from, dockerHost),
    killEngine: async () => {
      await run(KILL_ENGINE);
    },
    startEngine: async () => {
      await run(engineCommand(directory));
      await comesUp(dockerHost, directory);
    },
    stop: () => removeServer(name),
  };
}

function serverDirectory(name: string): string {
  return join(tmpdir(), `tomo-server-${name}`);
}

async function copyImage(tag: string, from: string, to: string): Promise<void> {
  const copy = 'docker -H "$1" save "$2" | docker -H "$3" load -q';
  await runProgram('sh', '-c', copy, 'copy', from, tag, to);
}

async function comesUp(dockerHost: string, directory: string): Promise<void> {
  const deadline = Date.now() + ENGINE_TIMEOUT_MS;
  while (!(await engineAnswers(dockerHost))) {
    if (Date.now() > deadline) throw new Error(`no engine in time: see ${directory}/dockerd.log`);
    await delay(POLL_MS);
  }
}
