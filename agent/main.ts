import { fstatSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { destination, type Logger, pino } from 'pino';
import { MetricsSampler } from './collectors/metrics.ts';
import { allHandlers } from './commands/all-handlers.ts';
import {
  type AgentOptions,
  ConfigurationError,
  chooseServerUrl,
  commandEnvironment,
  readOptions,
} from './config.ts';
import { Connection, type ConnectionEnd } from './connection.ts';
import { Credentials } from './credentials.ts';
import { createDispatcher } from './dispatcher.ts';
import { DockerEngine } from './docker/docker-engine.ts';
import { isInContainer } from './host-info.ts';
import { LiveSettings } from './live-settings.ts';
import { StateFile, StateNotWritableError } from './state.ts';

const STDERR = 2;
const EXIT_STATE = 1;
const EXIT_CONFIGURATION = 2;
const IDLE_TURN_MS = 24 * 60 * 60 * 1_000;

try {
  const options = readOptions(process.env);
  const log = pino({ level: options.logLevel }, destination({ fd: STDERR, sync: true }));
  const ending = new AbortController();
  const stop = (): void => {
    ending.abort();
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);
  if (options.hasParent) watchParent(stop);

  const end = await runAgent(options, log, ending.signal);
  // A container that ends is started again by its restart policy, and would dial again.
  if (end === 'revoked' && isInContainer() && !options.hasParent) await idle(ending.signal);
  process.exit(0);
} catch (error) {
  process.stderr.write(`tomo agent: ${describe(error)}\n`);
  process.exit(error instanceof ConfigurationError ? EXIT_CONFIGURATION : EXIT_STATE);
}

async function runAgent(
  options: AgentOptions,
  log: Logger,
  signal: AbortSignal,
): Promise<ConnectionEnd> {
  const { access, registerCode } = options;
  const file = new StateFile(options.dataDir, log);
  const stored = await file.load();
  const url = chooseServerUrl(options.serverUrl, stored?.server_url);
  const credentials = new Credentials({ file, stored, registerCode, serverUrl: url, log });
  const engine = new DockerEngine(options.dockerHost);
  const sampler = new MetricsSampler(engine);
  const settings = new LiveSettings();
  const handlers = allHandlers({
    engine,
    sampler,
    settings,
    access,
    execScope: isInContainer() ? 'container' : 'host',
    environment: commandEnvironment(process.env),
  });
  const dispatch = createDispatcher({ handlers, access, log });
  const parts = { url, access, credentials, settings, engine, sampler, dispatch, log };
  return await new Connection(parts).run(signal);
}

/** Ends the agent with the program that started it, however that ended. */
function watchParent(stop: () => void): void {
  const stdin = fstatSync(0);
  if (!stdin.isFIFO() && !stdin.isSocket()) return;
  process.stdin.once('close', stop).once('error', stop).resume();
}

async function idle(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await delay(IDLE_TURN_MS, undefined, { signal }).catch(() => undefined);
}

function describe(error: unknown): string {
  if (error instanceof ConfigurationError || error instanceof StateNotWritableError) {
    return error.message;
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
