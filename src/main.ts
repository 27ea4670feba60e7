import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import type { Logger } from 'pino';
import { type Access, lowerAccess } from '../protocol/access.ts';
import { TomoError } from '../protocol/errors.ts';
import { VERSION } from '../protocol/version.ts';
import { agentProgram } from './agent-program.ts';
import { runBackup, runRestore } from './backup-command.ts';
import { type Config, defaultDataDir, type Invocation, readInvocation } from './config.ts';
import { prepareDataDir, unwritable } from './data-dir.ts';
import type { Serving } from './fleet/operations.ts';
import { SharedFleet } from './fleet/shared-fleet.ts';
import { HELP } from './help.ts';
import { LocalAgent } from './local-agent.ts';
import { createLog } from './log.ts';
import { bearerToken, tokenHash } from './mcp/bearer-token.ts';
import type { ToolDeps } from './mcp/define-tool.ts';
import { serveMcpStdio } from './mcp/stdio.ts';
import { guideAddress } from './quickstart-address.ts';
import { quickstartGuide } from './quickstart-guide.ts';
import { claimOrStandBy } from './standby.ts';
import { StartError } from './start-error.ts';
import { changeTokens, tokenAction } from './token-command.ts';

/** When a guest loads what it needs to take over: not while it starts. */
const PRELOAD_AFTER_MS = 1_000;
/** How long closing may take before the process ends anyway. */
const CLOSE_MAX_MS = 900;
/** The same while an installation is undone. */
const UNDO_INSTALL_MAX_MS = 30_000;
const EXIT_CLOSING_HUNG = 3;

// Everything this program writes is for its user alone.
process.umask(0o077);
try {
  await run(readInvocation(process.argv.slice(2)));
} catch (error) {
  const { message, exitCode } = startError(error);
  process.stderr.write(`${message}\n`);
  process.exit(exitCode);
}

async function run({ command, words, config }: Invocation): Promise<void> {
  switch (command) {
    case 'help':
      process.stdout.write(HELP);
      return;
    case 'version':
      process.stdout.write(`${VERSION}\n`);
      return;
    case 'token':
      return runToken(words, config);
    case 'backup':
      return runBackup(words, config, process);
    case 'restore':
      return runRestore(words, config, process);
    case 'agent':
      return runAgent();
    case 'stdio':
    case 'serve':
    case 'quickstart':
      return runServer(command, config);
  }
}

async function runToken(words: readonly string[], config: Config): Promise<void> {
  const action = tokenAction(words, config.access);
  if (action.kind === 'print') process.stdout.write(`${await tokenOf(config)}\n`);
  else await changeTokens(action, config, process);
}

type ServerCommand = 'stdio' | 'serve' | 'quickstart';

async function runServer(command: ServerCommand, config: Config): Promise<void> {
  const log = createLog(config);
  const stop = stopRequested(command);
  await using resources = new AsyncDisposableStack();
  prepareDataDir(config.dataDir);
  const token = await tokenOf(config);
  const kind = command === 'stdio' ? 'stdio' : 'server';
  const serving = servingOf(config, token);
  const fleet = new SharedFleet({
    dataDir: config.dataDir,
    inheritsRules: kind === 'stdio',
    startOwner: async (inherited, handOver) => {
      const { startOwner } = await loadOwner();
      const rules = inherited ?? serving;
      return startOwner({ dataDir: config.dataDir, kind, serving: rules, handOver, log });
    },
    log,
  });
  resources.defer(() => fleet.close());
  const joined = await Promise.race([fleet.start(), stop]);
  if (joined === 'guest') {
    if (kind === 'server') await claimOrStandBy(fleet, config.dataDir, serving);
    setTimeout(() => void loadOwner(), PRELOAD_AFTER_MS).unref();
  }
  if (command === 'stdio') resources.use(serveMcpStdio(stdioCaller(fleet, config, log)));
  if (config.localAgent || command === 'quickstart') {
    const agent = new LocalAgent({ ...config, fleet, log });
    resources.use(agent);
    if (command === 'quickstart') void printGuide(agent, fleet, config, token, log);
  }
  await stop;
  // What cannot be closed in time is cut off by the end of the process, and that is said.
  const limitMs = fleet.isInstalling ? UNDO_INSTALL_MAX_MS : CLOSE_MAX_MS;
  setTimeout(() => process.exit(EXIT_CLOSING_HUNG), limitMs).unref();
  await resources.disposeAsync();
  process.exit(0);
}

/** The client over stdio: held to this process's rules and to those of the data directory. */
function stdioCaller(fleet: SharedFleet, config: Config, log: Logger): ToolDeps {
  const own: Access = config.readOnly ? 'read' : 'admin';
  return {
    fleet,
    callerOf: () => ({ actor: 'stdio', access: lowerAccess(own, fleet.ceiling) }),
    log,
  };
}

function servingOf(config: Config, token: string): Serving {
  const { host, port, tlsCert, tlsKey, tlsSelfSigned, publicUrl, trustedProxies, readOnly } =
    config;
  return {
    host,
    port,
    ...(tlsCert === undefined ? {} : { tlsCert }),
    ...(tlsKey === undefined ? {} : { tlsKey }),
    tlsSelfSigned,
    ...(publicUrl === undefined ? {} : { publicUrl }),
    trustedProxies,
    readOnly,
    tokenHash: tokenHash(token),
  };
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
    const caller = { actor: 'local', access: 'read' } as const;
    const owner = await fleet.perform('describe_owner', {}, caller);
    const dataDir = config.dataDir === defaultDataDir() ? undefined : config.dataDir;
    const { url, caFile } = guideAddress(config.dataDir, owner);
    const { port } = owner.serving;
    process.stdout.write(quickstartGuide({ url, caFile, token, dataDir, port }));
  } catch (error) {
    log.error({ err: error }, 'the local agent did not connect within 60 s; its log is above');
  }
}

/** Resolves when the process is asked to end: by a signal, or over stdio by the end of input. */
async function stopRequested(command: ServerCommand): Promise<void> {
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
