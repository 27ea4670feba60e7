import type { Logger } from 'pino';
import { DockerEngine } from '../docker-engine/docker-engine.ts';
import { MetricsSampler } from './collectors/metrics.ts';
import { allHandlers } from './commands/all-handlers.ts';
import { type AgentOptions, chooseServerUrl } from './config.ts';
import { Connection, type ConnectionEnd } from './connection.ts';
import { Credentials } from './credentials.ts';
import { createDispatcher } from './dispatcher.ts';
import { endForGood } from './end-for-good.ts';
import { HealthFile } from './health-file.ts';
import { isInContainer } from './host-info.ts';
import { LiveSettings } from './live-settings.ts';
import { OwnContainer } from './own-container.ts';
import { selfProtection } from './self-protection.ts';
import { findShellPlace, type ShellPlace } from './shell-place.ts';
import { StateFile } from './state.ts';

interface Started {
  readonly options: AgentOptions;
  /** The environment that commands start from where they run beside the agent. */
  readonly environment: Readonly<Record<string, string>>;
  readonly log: Logger;
  /** Aborts `signal`. */
  readonly stop: () => void;
  readonly signal: AbortSignal;
}

/**
 * Runs an agent to its end; in a container of its own, one that the hub has no more use for does not
 * return before it is told to stop. Throws ConfigurationError and StateNotWritableError.
 */
export async function runAgent(started: Started): Promise<ConnectionEnd> {
  const { options, log, signal } = started;
  // A child of another program shares that program's container, if any.
  const isContained = isInContainer() && !options.hasParent;
  const engine = new DockerEngine(options.dockerHost);
  const own = new OwnContainer({ engine, dataDir: options.dataDir, isContained });
  const health = options.hasHealthCheck ? new HealthFile(log) : undefined;
  const connection = await prepare(started, { engine, own, health });
  const end = await connection.run(signal);
  if (end !== 'stopped' && isContained) await endForGood({ own, engine, log }, signal);
  return end;
}

interface Parts {
  readonly engine: DockerEngine;
  readonly own: OwnContainer;
  readonly health: HealthFile | undefined;
}

async function prepare(started: Started, parts: Parts): Promise<Connection> {
  const { options, log, stop } = started;
  const { engine, own, health } = parts;
  const { access, registerCode, dataDir, dockerHost, hasParent } = options;
  const file = new StateFile(dataDir, log);
  const stored = await file.load(registerCode);
  const url = chooseServerUrl(options.serverUrl, stored?.server_url);
  const credentials = new Credentials({ file, stored, registerCode, serverUrl: url, log });
  const sampler = new MetricsSampler(engine);
  const settings = new LiveSettings();
  const shell = shellFinder(started);
  const onRestartFailure = (error: unknown): void => {
    log.error({ err: error }, 'the engine did not restart this container');
  };
  const known = { access, dataDir, serverUrl: url, dockerHost, hasParent };
  const handlers = allHandlers({
    ...known,
    ...parts,
    sampler,
    settings,
    shell,
    stop,
    onRestartFailure,
  });
  const guard = selfProtection(engine, own);
  const dispatch = createDispatcher({ handlers, access, guard, log });
  const onPresence = (isConnected: boolean): void => {
    health?.set(isConnected);
    // Only now, so that it does not hold up the first dial.
    if (isConnected) void shell();
  };
  const links = { url, access, credentials, settings, engine, sampler, dispatch, log, onPresence };
  return new Connection(links);
}

/** Looks once. */
function shellFinder({ options, environment, log }: Started): () => Promise<ShellPlace> {
  const find = async (): Promise<ShellPlace> => {
    const { access } = options;
    const place = await findShellPlace({ isInContainer: isInContainer(), access, environment });
    log.info({ scope: place.scope }, 'where commands run');
    return place;
  };
  let place: Promise<ShellPlace> | undefined;
  return () => (place ??= find());
}
