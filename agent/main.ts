import { fstatSync } from 'node:fs';
import { destination, type Logger, pino } from 'pino';
import { DockerEngine } from '../docker-engine/docker-engine.ts';
import {
  type AgentOptions,
  ConfigurationError,
  commandEnvironment,
  readOptions,
} from './config.ts';
import type { ConnectionEnd } from './connection/connection.ts';
import { StateNotWritableError } from './identity/state.ts';
import { removeAgent, UNINSTALL_COMMAND } from './own-container/uninstall-helper.ts';
import { runAgent } from './run-agent.ts';

const STDERR = 2;
const EXIT_FAILURE = 1;
const EXIT_CONFIGURATION = 2;
const FAILURES = new Set<ConnectionEnd>(['spent', 'mismatched']);

try {
  const options = readOptions(process.env);
  const log = pino({ level: options.logLevel }, destination({ fd: STDERR, sync: true }));
  const [command, ...args] = process.argv.slice(2);
  if (command === UNINSTALL_COMMAND) {
    await removeAgent(new DockerEngine(options.dockerHost), args, log);
    process.exit(0);
  }
  process.exit(await serve(options, log));
} catch (error) {
  process.stderr.write(`tomo agent: ${describe(error)}\n`);
  process.exit(error instanceof ConfigurationError ? EXIT_CONFIGURATION : EXIT_FAILURE);
}

async function serve(options: AgentOptions, log: Logger): Promise<number> {
  const ending = new AbortController();
  const stop = (): void => {
    ending.abort();
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);
  if (options.hasParent) watchParent(stop);
  const environment = commandEnvironment(process.env);
  const end = await runAgent({ options, environment, log, stop, signal: ending.signal });
  return FAILURES.has(end) && !ending.signal.aborted ? EXIT_FAILURE : 0;
}

/** Ends the agent with the program that started it, however that ended. */
function watchParent(stop: () => void): void {
  const stdin = fstatSync(0);
  if (!stdin.isFIFO() && !stdin.isSocket()) return;
  process.stdin.once('close', stop).once('error', stop).resume();
}

function describe(error: unknown): string {
  if (error instanceof ConfigurationError || error instanceof StateNotWritableError) {
    return error.message;
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
