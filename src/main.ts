import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import type { Logger } from 'pino';
import { TomoError } from '../protocol/errors.ts';
import { VERSION } from '../protocol/version.ts';
import { agentProgram } from './agent-program.ts';
import { type Config, defaultDataDir, type Invocation, readInvocation } from './config.ts';
import { prepareDataDir, unwritable } from './data-dir.ts';
import { SharedFleet } from './fleet/shared-fleet.ts';
import { HELP } from './help.ts';
import { LocalAgent } from './local-agent.ts';
import { createLog } from './log.ts';
import { bearerToken } from './mcp/bearer-token.ts';
import { serveMcpStdio } from './mcp/stdio.ts';
import { quickstartGuide } from './quickstart-guide.ts';
import { refuseOtherAddress } from './standby.ts';
import { StartError } from './start-error.ts';

/** When a guest loads what it needs to take over: not while it starts. */
const PRELOAD_AFTER_MS = 1_000;
/** How long closing may take before the process ends anyway. */
const CLOSE_MAX_MS = 900;

// Everything this program writes is for its user alone.
process.umask(0o077);
try {
  await run(readInvocation(process.argv.slice(2)));
} catch (error) {
  const { message, exitCode } = startError(error);
  process.stderr.write(`${message}\n`);
  process.exit(exitCode);
}

async function run({ command, config }: Invocation): Promise<void> {
  switch (command) {
    case 'help':
      process.stdout.write(HELP);
      return;
    case 'version':
      process.stdout.write(`${VERSION}\n`);
      return;
    case 'token':
      process.stdout.write(`${await tokenOf(config)}\n`);
      return;
    case 'agent':
      return runAgent();
    case 'stdio':
    case 'serve':
    case 'quickstart':
      return runServer(command, config);
  }
}

async function runServer(command: 'stdio' | 'serve' | 'quickstart', config: Config): Promise<void> {
  const log = createLog(config);
  const stop = stopRequested(command);
  await using resources = new AsyncDisposableStack();
  prepareDataDir(config.dataDir);
  const token = await tokenOf(config);
  const fleet = new SharedFleet({
    dataDir: config.dataDir,
    startOwner: async () => (await loadOwner()).startOwner({ config, token, log }),
    log,
  });
  resources.defer(() => fleet.close());
  const role = await fleet.start();
  if (role === 'guest') {
    if (command !== 'stdio') await refuseOtherAddress(fleet, config);
    setTimeout(() => void loadOwner(), PRELOAD_AFTER_MS).unref();
  }
  if (command === 'stdio') {
    const access = config.readOnly ? 'read' : 'admin';
    resources.use(serveMcpStdio({ fleet, actor: 'stdio', access, log }));
  }
  if (config.localAgent || command === 'quickstart') {
    const agent = new LocalAgent({ ...config, fleet, log });
    resources.use(agent);
    if (command === 'quickstart') void printGuide(agent, fleet, config, token, log);
  }
  await stop;
  // What cannot be closed in time is cut off by the end of the process.
  setTimeout(() => process.exit(0), CLOSE_MAX_MS).unref();
  await resources.disposeAsync();
  process.exit(0);
}

/** What stands in the way of starting, for a person; a fault of the program itself is thrown on. */
function startError(error: unknown): StartError {
  if (error instanceof StartError) return error;
  if (error instanceof TomoError) return new StartError(`tomo: ${error.message}`, 1, error);
  throw error;
}

/** Database and hub are most of the program: loaded by whoever owns the data directory, or may soon. */
function loadOwner() {
  return import('./owner.ts');
}

async function printGuide(
  agent: LocalAgent,
  fleet: SharedFleet,
  config: Config,
  token: string,
  log: Logger,
): Promise<void> {
  try {
    await agent.connected(AbortSignal.timeout(60_000));
    const { url } = await fleet.perform('describe_owner', {}, { actor: 'local', access: 'read' });
    const dataDir = config.dataDir === defaultDataDir() ? undefined : config.dataDir;
    process.stdout.write(quickstartGuide({ url, token, dataDir, port: Number(new URL(url).port) }));
  } catch (error) {
    log.error({ err: error }, 'the local agent did not connect within 60 s; its log is above');
  }
}

/** Resolves when the process is asked to end: by a signal, or over stdio by the end of input. */
async function stopRequested(command: string): Promise<void> {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'].map((name) => once(process, name));
  const input =
    command === 'stdio' ? [once(process.stdin, 'end'), once(process.stdin, 'close')] : [];
  await Promise.race([...signals, ...input]);
}

async function tokenOf(config: Config): Promise<string> {
  if (config.token !== undefined) return config.token;
  prepareDataDir(config.dataDir);
  try {
    return await bearerToken(config.dataDir);
  } catch (error) {
    throw unwritable(config.dataDir, error);
  }
}

/** Starts the agent's own program and ends as it ends. */
async function runAgent(): Promise<void> {
  const { command, args } = agentProgram();
  const child = spawn(command, args, { stdio: 'inherit' });
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => child.kill(name));
  }
  await once(child, 'exit');
  process.exit(child.exitCode ?? 1);
}
